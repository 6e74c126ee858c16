// What an agent may bind, and what it has bound: claims, rules for visitors, addresses.
#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "base/log.h"
#include "control/client.h"
#include "relay/agent_session.h"
#include "relay/http_visitor.h"
#include "relay/route.h"
#include "relay/tcp_visitor.h"
#include "relay/tunnel_quota.h"

namespace leat::relay {
namespace {

// What the relay keeps of a tunnel's rules, about: texts, and what is read out of them.
std::size_t size_of(const control::VisitorPolicy& policy) {
  using Named = control::VisitorPolicy::Named;
  std::size_t size =
      4 * policy.jwt_keys.reveal().size() + policy.jwt_audience.size() + policy.jwt_issuer.size();
  for (const auto* list : {&policy.tokens, &policy.users}) {
    for (const Named& each : *list) size += sizeof each + each.name.size();
  }
  for (const std::string& each : policy.allow) size += sizeof each + each.size() + sizeof(Cidr);
  return size;
}

}  // namespace

std::string room_url(std::string_view public_url, std::string_view room) {
  return "ws" + std::string(public_url.substr(std::string_view("http").size())) + kRoomDoor +
         "?room=" + std::string(room);
}

void AgentSession::on_bind(std::uint32_t request, const control::TunnelRequest& tunnel) {
  binds_.push_back({request, tunnel});
}

// All that came at once are written down at once: a wait for the disk stops everything else.
void AgentSession::answer_binds() {
  if (binds_.empty()) return;
  std::vector<Asked> binds = std::exchange(binds_, {});
  std::vector<Asked*> unwritten;
  std::vector<store::Claim> claims;
  WritePaces& paces = context_.common.write_paces;
  const Time now = context_.shard.now();
  std::optional<bool> may_write;      // one wait for the disk
  std::set<std::string_view> wanted;  // that nothing speaks against yet
  for (Asked& asked : binds) {
    Result<bool> known = check(asked);
    // One that is bound already gives its port back before it asks for another.
    if (known && !*known && asked.tunnel.kind == control::TunnelKind::tcp) {
      const auto may = context_.ports.may_lend(asked.tunnel.id, asked.tunnel.remote_port);
      if (!may) known = tl::unexpected(may.error());
    }
    if (known) {
      asked.held = hold_tunnel(context_, *account_, asked.tunnel.id);
      if (!asked.held) known = leat::fail(Code::QUOTA_TUNNELS);
    }
    const bool first = known && wanted.insert(asked.tunnel.id).second;
    if (!known) {
      asked.allowed = tl::unexpected(known.error());
    } else if (!*known) {
      if (!may_write) may_write = paces.write(token_id_, now);
      const std::vector<store::Claim> of_this = claims_of(asked);
      if (!*may_write || !paces.claim(token_id_, of_this.size(), now)) {
        asked.allowed = leat::fail(Code::TOO_MANY_BINDS);
        continue;
      }
      if (asked.tunnel.kind == control::TunnelKind::tcp && first) {
        auto lent = lend(asked.tunnel);  // another program may have it
        if (!lent) {
          asked.allowed = tl::unexpected(lent.error());
          continue;
        }
        asked.port = std::move(*lent);
      }
      unwritten.insert(unwritten.end(), of_this.size(), &asked);
      claims.insert(claims.end(), of_this.begin(), of_this.end());
    }
  }
  const std::vector<Result<void>> written = context_.store.claim(claims, token_id_, identity_);
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (!written[i]) unwritten[i]->allowed = written[i];
  }
  for (Asked& asked : binds) answer(asked);
}

// Whether the store has this very claim already, if it may be made at all: what is refused is
// refused here, since a name that was written down is its owner's for ever.
Result<bool> AgentSession::check(Asked& asked) {
  control::TunnelRequest& tunnel = asked.tunnel;
  if (context_.draining || leave_timer_.armed()) return leat::fail(Code::DRAINING);
  if (const Result<void> hosts = check_hosts(tunnel); !hosts) return tl::unexpected(hosts.error());
  if (const Result<void> rules = check_rules(tunnel); !rules) return tl::unexpected(rules.error());
  if (claims_ && !claims_->allows(tunnel.id)) return leat::fail(Code::TUNNEL_REFUSED, tunnel.id);
  for (const std::string& host : tunnel.hosts) {
    if (!claims_ || context_.names.below_domain(host) || claims_->allows_host(host)) continue;
    return leat::fail(Code::TUNNEL_REFUSED, host);
  }
  if (tunnel.id.empty()) {
    asked.generated = true;
    tunnel.id = random_id();
    return false;
  }
  // A generated id is a secret, which its owner may ask for again; any other http id can be
  // guessed. A tcp tunnel is reached by its port, whatever it is called, who comes to a tls tunnel
  // is answered by the service behind it alone, who comes to a sealed one by the agent, and who
  // names a room means others to come (docs/adr/0014-rooms.md).
  if (tunnel.kind == control::TunnelKind::http && !tunnel.is_public && !tunnel.visitors.asks()) {
    const Result<bool> generated = context_.store.is_generated(tunnel.id, token_id_);
    if (!generated) return generated;
    if (!*generated) return leat::fail(Code::NAME_IS_PUBLIC, tunnel.id);
  }
  for (const store::Claim& claim : claims_of(asked)) {
    const Result<bool> owned = context_.store.owns(claim.tunnel, token_id_, identity_);
    if (!owned || !*owned) return owned;
  }
  return true;
}

Result<void> AgentSession::check_hosts(const control::TunnelRequest& tunnel) const {
  const bool http = tunnel.kind == control::TunnelKind::http;
  const bool tls = tunnel.kind == control::TunnelKind::tls;
  if (tls && tunnel.hosts.empty() && !context_.names.has_domain()) {
    return leat::fail(Code::BAD_HOST, "a tls tunnel needs a host where the relay has no domain");
  }
  if (tunnel.hosts.empty()) return {};
  if (!http && !tls) return leat::fail(Code::BAD_HOST, "hosts are for http and tls tunnels");
  if (http && !tunnel.is_public && !tunnel.visitors.asks()) {
    return leat::fail(Code::NAME_IS_PUBLIC, tunnel.hosts.front());
  }
  if (http && !context_.names.has_domain()) {
    return leat::fail(Code::BAD_HOST, "this relay has no domain of its own");
  }
  for (const std::string& host : tunnel.hosts) {
    const bool below = context_.names.below_domain(host);
    if (below && context_.names.tunnel(host) == tunnel.id && !tunnel.id.empty()) continue;
    if (below || (context_.names.has_domain() && context_.names.own(host))) {
      return leat::fail(Code::BAD_HOST, host + " is the relay's; choose an id instead");
    }
  }
  return {};
}

// Ids and hosts are one namespace: no id has a dot, and every host has one.
std::vector<store::Claim> AgentSession::claims_of(const Asked& asked) const {
  std::vector<store::Claim> claims = {{asked.tunnel.id, asked.generated}};
  for (const std::string& host : asked.tunnel.hosts) {
    if (!context_.names.below_domain(host)) claims.push_back({host, false});
  }
  return claims;
}

void AgentSession::answer(Asked& asked) {
  const Result<control::TunnelBound> result = asked.allowed.and_then([&] { return bind(asked); });
  if (!result) {
    log::write(log::Level::warn, "tunnel refused", result.error(),
               {{"tunnel", asked.tunnel.id}, {"credential", credential_name_}});
    ++context_.metrics.refused[result.error().code];
    return control_.refused(asked.request, result.error());
  }
  log::info("tunnel bound", {{"tunnel", result->id},
                             {"kind", control::name(asked.tunnel.kind)},
                             {"port", result->remote_port},
                             {"credential", credential_name_}});
  control_.bound(asked.request, *result);
  context_.registry.announce(result->id);
}

Result<std::shared_ptr<Ports::Lease>> AgentSession::lend(const control::TunnelRequest& tunnel) {
  return context_.ports.lend({context_.index, context_.shard}, tunnel.id, tunnel.remote_port,
                             [&context = context_, id = tunnel.id](net::Fd socket) {
                               Knock::start(context, std::move(socket), Knock::Door::tcp,
                                            [&context, id](Knock::Guest guest) {
                                              TcpVisitor::start(context, std::move(guest), id,
                                                                control::TunnelKind::tcp);
                                            });
                             });
}

Result<control::TunnelBound> AgentSession::bind(Asked& asked) {
  const control::TunnelRequest& tunnel = asked.tunnel;
  if (const Result<void> set = set_access(tunnel); !set) return tl::unexpected(set.error());
  control::TunnelBound bound{tunnel.id, urls(tunnel), 0};
  Tunnel held{tunnel, nullptr, {}, std::move(*asked.held)};
  held.request.visitors = {};  // access_ has them
  if (tunnel.kind == control::TunnelKind::tcp) {
    // Bound again: its port is given back first, and it is nobody's should there be no other.
    tunnels_.erase(tunnel.id);
    context_.registry.unbind(tunnel.id, this);
    auto lent = asked.port ? asked.port : lend(tunnel);
    if (!lent) {
      forget_access(tunnel.id);
      return tl::unexpected(lent.error());
    }
    held.port = std::move(*lent);
    bound.remote_port = held.port->port();
    bound.urls.push_back("tcp://" +
                         HostPort{context_.common.public_host, bound.remote_port}.text());
  } else if (tunnel.kind == control::TunnelKind::sealed) {
    bound.urls.push_back(context_.common.public_url + "/sealed/" + tunnel.id);
  }
  for (const std::string& host : tunnel.hosts) {
    if (context_.names.below_domain(host)) continue;
    held.hosts.push_back(context_.names.hold(host, tunnel.id));
  }
  tunnels_.insert_or_assign(tunnel.id, std::move(held));
  context_.registry.bind(tunnel.id, tunnel.kind, this);
  return bound;
}

std::shared_ptr<const Access> AgentSession::access(const std::string& tunnel) const {
  const auto found = access_.find(tunnel);
  return found == access_.end() ? nullptr : found->second.access;
}

void AgentSession::forget_access(const std::string& tunnel) {
  const auto found = access_.find(tunnel);
  if (found == access_.end()) return;
  access_size_ -= found->second.size;
  context_.memory.give_back(found->second.size);
  access_.erase(found);
}

Result<void> AgentSession::check_rules(const control::TunnelRequest& tunnel) const {
  const bool opaque =
      tunnel.kind == control::TunnelKind::tcp || tunnel.kind == control::TunnelKind::tls;
  if (opaque && tunnel.visitors.asks()) {
    return leat::fail(Code::BAD_POLICY, "tcp and tls tunnels can ask for no credential");
  }
  if (tunnel.kind == control::TunnelKind::sealed && !tunnel.visitors.empty()) {
    return leat::fail(Code::BAD_POLICY, "who may use a sealed tunnel is the agent's to say");
  }
  return Access::make(tunnel.visitors).map([](const auto&) {});
}

// Visitors who are there and whom the new rules would not let in are cut.
Result<void> AgentSession::set_access(const control::TunnelRequest& tunnel) {
  auto made = Access::make(tunnel.visitors);
  if (!made) return tl::unexpected(made.error());
  const std::size_t size = size_of(tunnel.visitors);
  const auto before = access_.find(tunnel.id);
  const std::size_t freed = before == access_.end() ? 0 : before->second.size;
  if (access_size_ - freed + size > limits::kSessionRules || !context_.memory.take(size)) {
    return leat::fail(Code::BAD_POLICY, "the rules of all tunnels together are too long");
  }
  forget_access(tunnel.id);
  if (tunnel.visitors.empty()) {
    context_.memory.give_back(size);  // nothing, or what asks for nothing
  } else {
    access_[tunnel.id] = {*made, size};
    access_size_ += size;
  }
  context_.http_visitors.for_each(
      [&](HttpVisitor& visitor) { visitor.recheck(*this, tunnel.id, **made); });
  context_.tcp_visitors.for_each([&](TcpVisitor& visitor) { visitor.recheck(tunnel.id, **made); });
  return {};
}

std::vector<std::string> AgentSession::urls_of(const std::string& tunnel) const {
  const auto found = tunnels_.find(tunnel);
  if (found == tunnels_.end()) return {};
  const Tunnel& held = found->second;
  if (held.port)
    return {"tcp://" + HostPort{context_.common.public_host, held.port->port()}.text()};
  if (held.request.kind == control::TunnelKind::sealed) {
    return {context_.common.public_url + "/sealed/" + tunnel};
  }
  return urls(held.request);
}

// Best first: a name is an origin of its own, and leads here if its owner saw to that.
std::vector<std::string> AgentSession::urls(const control::TunnelRequest& tunnel) const {
  if (tunnel.kind == control::TunnelKind::ws) {
    std::vector<std::string> urls = {room_url(context_.common.public_url, tunnel.id)};
    if (!context_.common.names_first) return urls;
    const std::string host = context_.common.url_of(context_.names.host_of(tunnel.id));
    urls.push_back("ws" + host.substr(std::string_view("http").size()) + "/");
    return urls;
  }
  const bool tls = tunnel.kind == control::TunnelKind::tls;
  if (!tls && tunnel.kind != control::TunnelKind::http) return {};
  const auto url = [&](const std::string& host) {
    return tls ? "tls://" + HostPort{host, context_.common.tls_port}.text()
               : context_.common.url_of(host) + "/";
  };
  std::vector<std::string> urls;
  for (const std::string& host : tunnel.hosts) urls.push_back(url(host));
  if (context_.names.has_domain() && (tls || context_.common.names_first)) {
    const std::string host = context_.names.host_of(tunnel.id);
    if (std::ranges::find(tunnel.hosts, host) == tunnel.hosts.end()) urls.push_back(url(host));
  }
  if (!tls) urls.push_back(context_.common.public_url + "/tunnel/" + tunnel.id + "/");
  return urls;
}

void AgentSession::on_unbind(const std::string& tunnel) {
  tunnels_.erase(tunnel);
  forget_access(tunnel);
  context_.registry.unbind(tunnel, this);
  log::info("tunnel unbound", {{"tunnel", tunnel}});
}

}  // namespace leat::relay
