// Where a request goes, decided once from its parsed head (threat 16): routing and, later,
// authorisation read the same object.
#pragma once

#include <string>
#include <string_view>

#include "http/head.h"

namespace leat::relay {

struct Route {
  enum class Kind {
    tunnel,   // `tunnel`, `target`, `prefix`
    slash,    // a tunnel's root without its slash: 308 to `target`
    health,   // the relay's own /healthz, /readyz
    agent,    // an agent's carrier, in a WebSocket
    none,     // 404
    invalid,  // the target has no canonical form: 400
  };
  Kind kind = Kind::none;
  std::string tunnel;
  std::string target;  // what the service sees, or where to look; begins with '/'
  std::string prefix;  // what was taken off: "/tunnel/ID"
};

// `tunnels`: whether this door leads to tunnels at all (the admin listener's does not).
Route route(const http::Request& request, bool tunnels);

}  // namespace leat::relay
