#include "relay/registry.h"

#include <algorithm>

#include "base/log.h"
#include "relay/agent_session.h"

namespace leat::relay {

namespace {

void tell(const std::string& id, const Tunnel& tunnel) {
  const std::size_t count = tunnel.servers.size();
  log::info("tunnel shared", {{"tunnel", id}, {"agents", count}});
  for (const Tunnel::Server& server : tunnel.servers) {
    server.session->tell_shared(id, static_cast<std::uint32_t>(count));
  }
}

}  // namespace

void Registry::bind(const std::string& id, control::TunnelKind kind, AgentSession* session) {
  Tunnel& tunnel = tunnels_[id];
  std::erase_if(tunnel.servers, [&](const auto& server) { return server.session == session; });
  tunnel.kind = kind;
  tunnel.servers.push_back({session});
}

void Registry::announce(const std::string& id) const {
  const auto found = tunnels_.find(id);
  if (found != tunnels_.end() && found->second.servers.size() > 1) tell(id, found->second);
}

void Registry::unbind(const std::string& id, AgentSession* session) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  std::vector<Tunnel::Server>& servers = found->second.servers;
  if (std::erase_if(servers, [&](const auto& server) { return server.session == session; }) == 0) {
    return;
  }
  if (servers.empty()) {
    tunnels_.erase(found);
  } else {
    tell(id, found->second);
  }
}

void Registry::set_health(const std::string& id, AgentSession* session, bool healthy) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  for (Tunnel::Server& server : found->second.servers) {
    if (server.session == session) server.healthy = healthy;
  }
}

AgentSession* Registry::find(std::string_view id, control::TunnelKind kind) {
  const auto found = tunnels_.find(std::string(id));
  if (found == tunnels_.end() || found->second.kind != kind) return nullptr;
  Tunnel& tunnel = found->second;
  const std::size_t count = tunnel.servers.size();
  if (count == 1) return tunnel.servers.front().session;
  const Tunnel::Server* best = nullptr;
  int best_worth = -1;
  for (std::size_t i = 0; i < count; ++i) {
    const Tunnel::Server& server = tunnel.servers[(tunnel.turn + i) % count];
    const int worth = (server.session->silent() ? 0 : 2) + (server.healthy ? 1 : 0);
    if (worth > best_worth) {
      best = &server;
      best_worth = worth;
    }
  }
  if (best == nullptr) return nullptr;
  tunnel.turn = static_cast<std::size_t>(best - tunnel.servers.data()) + 1;
  return best->session;
}

bool Registry::serves(std::string_view id, control::TunnelKind kind) const {
  const auto found = tunnels_.find(std::string(id));
  return found != tunnels_.end() && found->second.kind == kind;
}

bool Registry::shared(std::string_view id) const {
  const auto found = tunnels_.find(std::string(id));
  return found != tunnels_.end() && found->second.servers.size() > 1;
}

void Registry::add(AgentSession* session) { sessions_.push_back(session); }

void Registry::remove(AgentSession* session) { std::erase(sessions_, session); }

AgentSession* Registry::with_identity(const PublicKey& identity) const {
  const auto found = std::ranges::find_if(
      sessions_, [&](const AgentSession* s) { return s->identity() == identity; });
  return found == sessions_.end() ? nullptr : *found;
}

}  // namespace leat::relay
