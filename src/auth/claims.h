// JSON web tokens (RFC 7519): a signed list of claims, and what of it leat reads. Used for agents
// and for visitors alike.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/jws.h"

namespace leat::auth {

struct Expectations {
  std::string
      audience;        // empty: none of us, and then a token that names one is not for us (§4.1.3)
  std::string issuer;  // empty: whoever has the key
  std::chrono::seconds leeway = std::chrono::seconds(60);  // how wrong clocks may be
};

struct Claims {
  std::string subject;           // "sub": the owner; 1 to 255 bytes without control characters
  std::chrono::seconds expires;  // "exp", since 1970, without leeway
  std::string plan;              // "plan"; empty: none
  // "tunnels": ids and hosts that may be bound; an id that ends with '*' stands for all that begin
  // so, and '*' alone for every host too. Unset: any.
  std::optional<std::vector<std::string>> tunnels;
  Sha256 key = {};  // the fingerprint of the one that verified it

  bool allows(std::string_view tunnel) const;
  bool allows_host(std::string_view host) const;
};

// `now`: wall clock, since 1970. "exp" and "sub" must be there.
Verified<Claims> verify_jwt(std::string_view token, const KeySet& keys,
                            const Expectations& expected, std::chrono::seconds now);

}  // namespace leat::auth
