#include "config/proxy_variables.h"

#include <cstdlib>
#include <utility>

namespace leat::config {
namespace {

// A name in lower case is the older one, and comes first. Empty: neither is set.
std::pair<std::string, const char*> either(const char* lower, const char* upper) {
  for (const char* name : {lower, upper}) {
    const char* const value = std::getenv(name);
    if (value != nullptr && *value != '\0') return {value, name};
  }
  return {};
}

}  // namespace

Result<ProxyVariables> ProxyVariables::read() {
  ProxyVariables out;
  const auto [url, name] = either("https_proxy", "HTTPS_PROXY");
  if (url.empty()) return out;
  auto proxy = parse_proxy(url);
  if (!proxy) return fail(Code::USAGE, std::string(name) + ": " + proxy.error().detail);
  if (!proxy->address.host.empty()) out.proxy_ = std::move(*proxy);
  out.exempt_ = either("no_proxy", "NO_PROXY").first;
  return out;
}

std::optional<ProxyAddress> ProxyVariables::on_the_way_to(std::string_view host) const {
  return exempt_from_proxy(exempt_, host) ? std::nullopt : proxy_;
}

}  // namespace leat::config
