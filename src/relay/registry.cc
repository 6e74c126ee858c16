#include "relay/registry.h"

#include <algorithm>

#include "base/log.h"
#include "relay/agent_session.h"

namespace leat::relay {

namespace {

// How good a session is for the next visitor.
int worth(const Tunnel::Server& server) {
  return (server.session->silent() ? 0 : 2) + (server.healthy ? 1 : 0);
}
constexpr int kBest = 3;

}  // namespace

void Registry::bind(const std::string& id, control::TunnelKind kind, AgentSession* session) {
  Tunnel& tunnel = tunnels_[id];
  std::erase_if(tunnel.servers, [&](const auto& server) { return server.session == session; });
  tunnel.kind = kind;
  tunnel.servers.push_back({session});
  publish(id);
}

void Registry::publish(const std::string& id) const {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return directory_.update(shard_, id, {}, 0, 0);
  const std::vector<Tunnel::Server>& servers = found->second.servers;
  const auto healthy =
      std::ranges::count_if(servers, [](const auto& each) { return each.healthy; });
  directory_.update(shard_, id, found->second.kind, servers.size(),
                    static_cast<std::size_t>(healthy));
}

void Registry::announce(const std::string& id) const {
  if (directory_.count(id) > 1) tell_all(id);
}

void Registry::tell_all(const std::string& id) const {
  const std::size_t count = directory_.count(id);
  if (count == 0) return;
  log::info("tunnel shared", {{"tunnel", id}, {"agents", count}});
  for (const std::size_t shard : directory_.shards_of(id)) {
    if (shard == shard_) {
      tell(id);
    } else {
      tell_shard_(shard, id);
    }
  }
}

void Registry::tell(const std::string& id) const {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  const auto count = static_cast<std::uint32_t>(directory_.count(id));
  for (const Tunnel::Server& server : found->second.servers) {
    server.session->tell_shared(id, count);
  }
}

void Registry::unbind(const std::string& id, AgentSession* session) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  std::vector<Tunnel::Server>& servers = found->second.servers;
  if (std::erase_if(servers, [&](const auto& server) { return server.session == session; }) == 0) {
    return;
  }
  if (servers.empty()) tunnels_.erase(found);
  publish(id);
  tell_all(id);
}

void Registry::set_health(const std::string& id, AgentSession* session, bool healthy) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  for (Tunnel::Server& server : found->second.servers) {
    if (server.session == session) server.healthy = healthy;
  }
  publish(id);
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
    if (const int its = worth(server); its > best_worth) {
      best = &server;
      best_worth = its;
    }
  }
  if (best == nullptr) return nullptr;
  tunnel.turn = static_cast<std::size_t>(best - tunnel.servers.data()) + 1;
  return best->session;
}

bool Registry::well(std::string_view id, control::TunnelKind kind) const {
  const auto found = tunnels_.find(std::string(id));
  return found != tunnels_.end() && found->second.kind == kind &&
         std::ranges::any_of(found->second.servers,
                             [](const auto& server) { return worth(server) == kBest; });
}

void Registry::add(AgentSession* session) { sessions_.push_back(session); }

void Registry::remove(AgentSession* session) { std::erase(sessions_, session); }

}  // namespace leat::relay
