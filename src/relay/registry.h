// Which agent serves which tunnel now. Tunnel ids, room ids and names are one namespace.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/signature.h"
#include "control/client.h"

namespace leat::relay {

class AgentSession;

struct Tunnel {
  control::TunnelKind kind;
  // Those that have bound it, all of one owner; the newest serves and the others stand by, so that
  // the ghost of a lost connection is never asked.
  std::vector<AgentSession*> sessions;
};

class Registry {
 public:
  void bind(const std::string& id, control::TunnelKind kind, AgentSession* session);
  void unbind(const std::string& id, AgentSession* session);

  // nullptr: none serves it, or it is of another kind.
  AgentSession* find(std::string_view id, control::TunnelKind kind) const;

  void add(AgentSession* session);
  void remove(AgentSession* session);  // its tunnels are unbound already
  AgentSession* with_identity(const PublicKey& identity) const;
  const std::vector<AgentSession*>& sessions() const { return sessions_; }

 private:
  absl::flat_hash_map<std::string, Tunnel> tunnels_;
  std::vector<AgentSession*> sessions_;
};

}  // namespace leat::relay
