// HTTPS_PROXY (or https_proxy) and NO_PROXY, as curl understands them: for whoever dials a relay.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "config/values.h"

namespace leat::config {

class ProxyVariables {
 public:
  // USAGE names the variable.
  static Result<ProxyVariables> read();
  // Of the way to this host; nullopt: none.
  std::optional<ProxyAddress> on_the_way_to(std::string_view host) const;

 private:
  std::optional<ProxyAddress> proxy_;
  std::string exempt_;
};

}  // namespace leat::config
