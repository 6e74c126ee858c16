#include "relay/route.h"

#include <optional>

#include "control/client.h"
#include "http/chars.h"

namespace leat::relay {
namespace {

bool is_health(std::string_view path) {
  return path == "/healthz" || path == "/readyz" || path == "/health" || path == "/ready";
}

// "host.example:443" and "host.example." name the same host.
std::string_view bare_name(std::string_view host) {
  host = host.substr(0, host.starts_with('[') ? host.find(']') : host.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

}  // namespace

bool misdirected(std::string_view host, std::string_view sni) {
  const bool address =
      sni.find(':') != sni.npos || sni.find_first_not_of("0123456789.") == sni.npos;
  return !host.empty() && !address && !http::iequal(bare_name(host), bare_name(sni));
}

Route route(const http::Request& request, bool tunnels) {
  if (request.target == "*") return {};
  const std::optional<std::string> target = http::canonical_target(request.target);
  if (!target) return {.kind = Route::Kind::invalid};
  const std::string_view whole = *target;
  const std::string_view path = whole.substr(0, whole.find('?'));
  if (is_health(path)) return {.kind = Route::Kind::health};
  if (!tunnels) return {};
  if (path == "/agent") return {.kind = Route::Kind::agent};
  if (constexpr std::string_view door = "/sealed/"; path.starts_with(door)) {
    const std::string_view id = path.substr(door.size());
    if (!control::valid_tunnel_id(id)) return {};
    return {.kind = Route::Kind::sealed, .tunnel = std::string(id)};
  }
  for (const std::string_view door : {"/tunnel/", "/t/"}) {
    if (!path.starts_with(door)) continue;
    const std::size_t end = path.find('/', door.size());
    const std::string_view id =
        path.substr(door.size(), end == path.npos ? path.npos : end - door.size());
    if (!control::valid_tunnel_id(id)) return {};
    const std::size_t prefix = door.size() + id.size();
    const std::string_view rest = whole.substr(prefix);
    std::string before(whole.substr(0, prefix));
    // Never the service's to answer: the directory of this path is that of all tunnels, and what
    // comes from it may be a service worker, or set a cookie, for all of them.
    if (!rest.starts_with('/')) {
      return {.kind = Route::Kind::slash, .target = before + '/' + std::string(rest)};
    }
    return {.kind = Route::Kind::tunnel,
            .tunnel = std::string(id),
            .target = std::string(rest),
            .prefix = std::move(before)};
  }
  return {};
}

}  // namespace leat::relay
