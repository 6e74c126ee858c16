// Where a request goes, decided once from its parsed head (threat 16): routing and, later,
// authorisation read the same object.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "http/head.h"

namespace leat::relay {

struct Route {
  enum class Kind {
    tunnel,     // `tunnel`, `target`, `prefix`
    slash,      // a tunnel's root without its slash: 308 to `target`
    health,     // the relay's own /healthz, /readyz
    room,       // a WebSocket visitor of the room `tunnel`, as of a tunnel
    agent,      // an agent's carrier, in a WebSocket; `tunnel`: the room it asks to serve, or empty
    admin,      // the admin API: `target`
    dashboard,  // its pages: `target`
    metrics,    // for Prometheus
    sealed,     // `tunnel`: a visitor of a sealed one, in a WebSocket
    none,       // 404
    invalid,    // the target has no canonical form: 400
  };
  Kind kind = Kind::none;
  std::string tunnel;
  std::string target;    // what the service sees, or where to look; begins with '/'
  std::string prefix;    // what was taken off: "/tunnel/ID"
  Secret token = {};     // of an agent, where its query has one
  bool sibling = false;  // by a host below the relay's domain, beside those of other tunnels
};

// Before the path of every room's visitors.
inline constexpr char kRoomDoor[] = "/client";

// `tunnels`: whether this door leads to tunnels at all (the admin listener's does not).
Route route(const http::Request& request, bool tunnels);

// The same for a tunnel, or a room, that has the host for itself: no path of it is the relay's.
Route route_host(const http::Request& request, std::string tunnel, bool room = false);

// The same for a host that is not the relay's and, now, no tunnel's either: agents may know the
// relay by a name that it does not know itself. There is nothing else.
Route route_unclaimed(const http::Request& request);

// Whether the Host field asks for another host than the TLS connection was made for (threat 14): a
// browser that shares a connection among the names of a certificate is told so with 421 (RFC 9110
// §15.5.20). False where either says nothing, and where `sni` is no DNS name (RFC 6066 §3).
bool misdirected(std::string_view host, std::string_view sni);

}  // namespace leat::relay
