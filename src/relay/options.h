// What a relay is told at start.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/cidr.h"
#include "base/limits.h"
#include "base/plan.h"
#include "base/secret.h"

namespace leat::relay {

struct PortRange {
  std::uint16_t low = 0, high = 0;  // 0, 0: no port is lent
  bool contains(std::uint16_t port) const { return port != 0 && low <= port && port <= high; }
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

struct Options {
  HostPort listen;                       // TLS: agents and visitors
  std::optional<HostPort> plain_listen;  // visitors behind a reverse proxy that ends TLS
  std::optional<HostPort> admin_listen;  // health; never a tunnel
  std::string domain;                    // host name in URLs; empty: the listening host
  std::string public_url;                // "https://host[:port]"; empty: made of domain and port
  PortRange tcp_ports;
  bool open_rooms = false;  // bare agents need no credential where nobody owns the room
  std::vector<std::string> agent_origins;  // pages that may be agents; normalised (RFC 6454 §6.2)
  std::size_t descriptors = SIZE_MAX;  // that the process may have; visitors do not get all of them
  std::size_t memory = limits::kRelayBudget;  // what visitors have not taken yet, all together
  std::string state_dir;                      // database, certificate, relay.json
  std::string first_token_file;  // takes the first token, if one is made; empty: none is written
  std::string certificate_file, key_file;  // empty: self-signed ones in state_dir
  struct Pair {
    std::string certificate_file, key_file;
  };
  std::vector<Pair> certificates;  // others, chosen by the name that is asked for
  // Whether every name below `domain` leads here (DNS) and is certified. Unset: if a certificate
  // that was given bears it.
  std::optional<bool> wildcard;
  std::vector<Cidr> trusted_proxies;     // whose forwarding fields are believed (threat 17)
  std::vector<Cidr> proxy_protocol;      // whose connections begin with a header of that protocol
  std::string jwt_keys;                  // file; empty: no JWT is taken
  std::string jwt_audience, jwt_issuer;  // empty: none is expected
  Secret admin_key;                      // of the admin API; empty: there is none
  // The connection log: how long visits are remembered (0: not at all), how many, and whether with
  // the paths they asked for.
  std::chrono::days connection_days{14};
  std::uint64_t connection_rows = 200'000;
  bool connection_paths = true;
  bool public_registration = false;  // apps may register, and end pairings, at public doors
  std::size_t shards = 1;            // threads that share the agents among them; at least 1
  bool send_governor = true;         // bounds what is on its way to an agent, by its path
  Plans plans;                       // none: no limits
};

}  // namespace leat::relay
