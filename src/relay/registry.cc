#include "relay/registry.h"

#include <algorithm>

#include "relay/agent_session.h"

namespace leat::relay {

void Registry::bind(const std::string& id, control::TunnelKind kind, AgentSession* session) {
  Tunnel& tunnel = tunnels_[id];
  std::erase(tunnel.sessions, session);
  tunnel.kind = kind;
  tunnel.sessions.push_back(session);
}

void Registry::unbind(const std::string& id, AgentSession* session) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  std::erase(found->second.sessions, session);
  if (found->second.sessions.empty()) tunnels_.erase(found);
}

AgentSession* Registry::find(std::string_view id, control::TunnelKind kind) const {
  const auto found = tunnels_.find(std::string(id));
  if (found == tunnels_.end() || found->second.kind != kind) return nullptr;
  return found->second.sessions.back();
}

void Registry::add(AgentSession* session) { sessions_.push_back(session); }

void Registry::remove(AgentSession* session) { std::erase(sessions_, session); }

AgentSession* Registry::with_identity(const PublicKey& identity) const {
  const auto found = std::ranges::find_if(
      sessions_, [&](const AgentSession* s) { return s->identity() == identity; });
  return found == sessions_.end() ? nullptr : *found;
}

}  // namespace leat::relay
