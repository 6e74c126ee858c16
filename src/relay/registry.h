// Which agents serve which tunnel now. Tunnel ids, room ids and names are one namespace.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/signature.h"
#include "base/time.h"
#include "control/client.h"

namespace leat::relay {

class AgentSession;

// Those that have bound a tunnel, all of one owner, in the order in which they came.
struct Tunnel {
  struct Server {
    AgentSession* session;
    bool healthy = true;  // the service behind it, as the agent says
  };
  control::TunnelKind kind;
  std::vector<Server> servers;
  std::size_t turn = 0;  // whose turn it is
};

class Registry {
 public:
  void bind(const std::string& id, control::TunnelKind kind, AgentSession* session);
  // Tells those that are left how many there are.
  void unbind(const std::string& id, AgentSession* session);
  // Tells all that serve the tunnel how many they are, if they are more than one. To be called once
  // the newest has its Bound.
  void announce(const std::string& id) const;
  void set_health(const std::string& id, AgentSession* session, bool healthy);

  // The next in turn of those that are healthy and whose carrier is not silent; if there are none,
  // of those that are not silent; if there are none either, of all.
  // nullptr: none serves it, or it is of another kind.
  AgentSession* find(std::string_view id, control::TunnelKind kind);
  bool serves(std::string_view id, control::TunnelKind kind) const;
  // More than one session serves it.
  bool shared(std::string_view id) const;

  void add(AgentSession* session);
  void remove(AgentSession* session);  // its tunnels are unbound already
  AgentSession* with_identity(const PublicKey& identity) const;
  const std::vector<AgentSession*>& sessions() const { return sessions_; }

 private:
  absl::flat_hash_map<std::string, Tunnel> tunnels_;
  std::vector<AgentSession*> sessions_;
};

}  // namespace leat::relay
