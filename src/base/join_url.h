// What a relay prints and `leat join` takes: https://HOST[:PORT]/join#CODE.PIN. The part behind the
// '#' is not sent to a server by whoever opens it as a web page.
#pragma once

#include <string>
#include <string_view>

#include "base/address.h"
#include "base/error.h"
#include "base/secret.h"

namespace leat {

struct JoinUrl {
  HostPort relay;
  Secret code;
  std::string pin;  // 32 raw bytes; empty: an authority vouches for the relay

  Secret text() const;
};
// LEAT_USAGE; messages do not repeat the text.
Result<JoinUrl> parse_join_url(std::string_view text);

}  // namespace leat
