// Which agents of a shard serve which tunnel now; the Directory has those of all shards. Tunnel
// ids, room ids and names are one namespace.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/signature.h"
#include "base/time.h"
#include "control/client.h"
#include "relay/directory.h"

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
  // `tell_shard`: has the Registry of that shard tell() its sessions, soon.
  Registry(Directory& directory, std::size_t shard,
           std::function<void(std::size_t shard, const std::string& id)> tell_shard)
      : directory_(directory), shard_(shard), tell_shard_(std::move(tell_shard)) {}

  void bind(const std::string& id, control::TunnelKind kind, AgentSession* session);
  // Tells those that are left how many there are.
  void unbind(const std::string& id, AgentSession* session);
  // Tells all that serve the tunnel, on every shard, how many they are, if they are more than one.
  // To be called once the newest has its Bound.
  void announce(const std::string& id) const;
  void tell(const std::string& id) const;  // those of this shard
  void set_health(const std::string& id, AgentSession* session, bool healthy);

  // The next in turn of those that are healthy and whose carrier is not silent; if there are none,
  // of those that are not silent; if there are none either, of all.
  // nullptr: none serves it, or it is of another kind.
  AgentSession* find(std::string_view id, control::TunnelKind kind);
  // A session of this shard that can be reached, and whose service is up, serves it.
  bool well(std::string_view id, control::TunnelKind kind) const;

  void add(AgentSession* session);
  void remove(AgentSession* session);  // its tunnels are unbound already
  const std::vector<AgentSession*>& sessions() const { return sessions_; }

 private:
  void publish(const std::string& id) const;
  void tell_all(const std::string& id) const;

  Directory& directory_;
  const std::size_t shard_;
  const std::function<void(std::size_t, const std::string&)> tell_shard_;
  absl::flat_hash_map<std::string, Tunnel> tunnels_;
  std::vector<AgentSession*> sessions_;
};

}  // namespace leat::relay
