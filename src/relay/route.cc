#include "relay/route.h"

#include <optional>
#include <utility>

#include "control/client.h"
#include "http/chars.h"
#include "relay/query.h"

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

// /client?room=ID, or /client/NAME?room=ID as a y-websocket provider asks. A room that cannot be is
// as good as one that is offline.
Route room_route(std::string target) {
  const std::optional<std::string> room = take_parameter(target, "room");
  if (!room) return {};
  target.erase(0, std::string_view(kRoomDoor).size());
  if (!target.starts_with('/')) target.insert(0, 1, '/');
  return {.kind = Route::Kind::room,
          .tunnel = control::valid_tunnel_id(*room) ? *room : std::string(),
          .target = std::move(target),
          .prefix = kRoomDoor};
}

Route agent_route(std::string target) {
  return {.kind = Route::Kind::agent,
          .tunnel = take_parameter(target, "room").value_or(""),
          .token = Secret(take_parameter(target, "token").value_or(""))};
}

}  // namespace

bool misdirected(std::string_view host, std::string_view sni) {
  const bool address =
      sni.find(':') != sni.npos || sni.find_first_not_of("0123456789.") == sni.npos;
  return !host.empty() && !address && !http::iequal(bare_name(host), bare_name(sni));
}

Route route_host(const http::Request& request, std::string tunnel, bool room) {
  std::optional<std::string> target = request.target;
  if (request.target != "*") target = http::canonical_target(request.target);
  if (!target) return {.kind = Route::Kind::invalid};
  return {.kind = room ? Route::Kind::room : Route::Kind::tunnel,
          .tunnel = std::move(tunnel),
          .target = std::move(*target)};
}

Route route_unclaimed(const http::Request& request) {
  Route way = route(request, true);
  if (way.kind == Route::Kind::agent && request.upgrade) return way;
  return route_host(request, {});
}

Route route(const http::Request& request, bool tunnels) {
  if (request.target == "*") return {};
  const std::optional<std::string> target = http::canonical_target(request.target);
  if (!target) return {.kind = Route::Kind::invalid};
  const std::string_view whole = *target;
  const std::string_view path = whole.substr(0, whole.find('?'));
  if (is_health(path)) return {.kind = Route::Kind::health};
  if (!tunnels) {
    if (path == "/metrics") return {.kind = Route::Kind::metrics};
    if (path.starts_with("/api/v1/")) return {.kind = Route::Kind::admin, .target = *target};
    if (path != "/" && (path.find('/', 1) != path.npos || path.find('.') == path.npos)) return {};
    return {.kind = Route::Kind::dashboard, .target = std::string(path)};
  }
  if (path.starts_with("/api/v1/pair/") || path == "/api/v1/register") {
    return {.kind = Route::Kind::admin, .target = *target};
  }
  if (path == "/agent") return agent_route(*target);
  if (constexpr std::string_view door = "/sealed/"; path.starts_with(door)) {
    const std::string_view id = path.substr(door.size());
    if (!control::valid_tunnel_id(id)) return {};
    return {.kind = Route::Kind::sealed, .tunnel = std::string(id)};
  }
  if (path == kRoomDoor || path.starts_with(std::string(kRoomDoor) + '/')) {
    return room_route(*target);
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
