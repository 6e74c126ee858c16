// What a relay is told at start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/limits.h"
#include "base/plan.h"
#include "base/secret.h"

namespace leat::relay {

struct PortRange {
  std::uint16_t low = 0, high = 0;  // 0, 0: no port is lent
  bool contains(std::uint16_t port) const { return port != 0 && low <= port && port <= high; }
};

struct Options {
  HostPort listen;                       // TLS: agents and visitors
  std::optional<HostPort> plain_listen;  // visitors behind a reverse proxy that ends TLS
  std::optional<HostPort> admin_listen;  // health; never a tunnel
  std::string domain;                    // host name in URLs; empty: the listening host
  std::string public_url;                // "https://host[:port]"; empty: made of domain and port
  PortRange tcp_ports;
  std::size_t memory = limits::kRelayBudget;  // what visitors have not taken yet, all together
  std::string state_dir;                      // database, certificate, relay.json
  std::string certificate_file, key_file;     // empty: self-signed ones in state_dir
  std::string jwt_keys;                       // file; empty: no JWT is taken
  std::string jwt_audience, jwt_issuer;       // empty: none is expected
  Secret admin_key;                           // of the admin API; empty: there is none
  Plans plans;                                // none: no limits
};

}  // namespace leat::relay
