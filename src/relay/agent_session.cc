#include "relay/agent_session.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "base/log.h"
#include "control/client.h"
#include "relay/http_visitor.h"
#include "relay/route.h"
#include "relay/tcp_visitor.h"
#include "relay/tunnel_quota.h"

namespace leat::relay {
namespace {

// How often a session whose agent wants to leave is looked at.
constexpr auto kLeavePoll = std::chrono::milliseconds(10);

constexpr auto kLookAgain = std::chrono::hours(1);  // whether a JWT has ended
constexpr std::size_t kSeenAgents = 65'536;         // remembered, to tell who comes back

mux::Config config_of(Context& context) {
  mux::Config config = mux::Config::native(mux::Role::server);
  config.memory = &context.memory;
  return config;
}

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

AgentSession::AgentSession(Context& context, std::unique_ptr<net::Transport> carrier,
                           const net::SessionId& session, const PublicKey& identity,
                           std::optional<Waiting> waiting)
    : context_(context),
      identity_(identity),
      session_name_(hex(Bytes(session).first(8))),
      peer_(carrier->peer()),
      driver_(context.shard, config_of(context), *this, std::move(carrier), net::Framing::chunks,
              context.options.send_governor),
      control_(*this, identity),
      hello_timer_(context.shard,
                   [this] {
                     close(Error{Code::TIMEOUT, "no Hello"});
                   }),
      leave_timer_(context.shard, [this] { part(); }),
      waiting_(std::move(waiting)),
      expiry_timer_(context.shard, [this] { watch_expiry(); }),
      since_(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())) {}

AgentSession::~AgentSession() {
  driver_.mux().end_all();
  context_.memory.give_back(access_size_);
}

void AgentSession::start(Bytes surplus) {
  context_.registry.add(this);
  hello_timer_.arm_in(limits::kLinkHandshake);
  driver_.start(surplus);
}

std::optional<mux::StreamHandle> AgentSession::open_stream() {
  const Time now = context_.shard.now();
  if (!resets_.allows(driver_.mux().stats().resets_out, now)) return std::nullopt;
  return driver_.mux().open(now);
}

const control::TunnelRequest* AgentSession::bound(const std::string& tunnel) const {
  const auto found = tunnels_.find(tunnel);
  return found == tunnels_.end() ? nullptr : &found->second.request;
}

void AgentSession::on_stream(mux::StreamHandle stream) {
  // The agent opens one stream, the control stream; all others come from the relay.
  if (control_stream_) {
    driver_.mux().reset(stream);
    return;
  }
  control_stream_ = stream;
  driver_.mux().attach(stream, this, this);
}

void AgentSession::on_ended(const Error& why) {
  if (over_) return;
  over_ = true;
  log_end(why);
  hello_timer_.disarm();
  leave_timer_.disarm();
  expiry_timer_.disarm();
  retire();
  context_.sessions.release(*this);
}

// Who ended it. An agent that was asked to stop leaves without an error.
void AgentSession::log_end(const Error& why) const {
  const log::Field session("session", session_name_), peer("peer", peer_),
      credential("credential", credential_name_);
  if (leaves_ && !closed_ && !context_.draining && why.code == Code::DRAINING) {
    return log::info("agent left", {session, peer, credential, {"by", "agent"}});
  }
  const bool cut = why.code == Code::CARRIER_CUT || why.code == Code::TIMEOUT;
  const char* const by = closed_ || leaves_ ? "relay" : cut ? "network" : "agent";
  log::write(log::Level::info, "agent left", why, {session, peer, credential, {"by", by}});
}

// --- the control stream ---

mux::Produced AgentSession::produce(MutableBytes out) {
  if (control_out_.empty()) return mux::Produced::not_ready();
  const std::size_t n = std::min(out.size(), control_out_.size());
  std::memcpy(out.data(), control_out_.data(), n);
  control_out_.erase(0, n);
  return mux::Produced::bytes(n);
}

std::size_t AgentSession::deliver(Bytes data) {
  const Result<void> fed = control_.feed(data);
  if (fed) answer_binds();
  send();
  if (!fed) {
    close(fed.error());
  } else if (control_out_.size() > limits::kControlOutput) {
    close(Error{Code::PROTOCOL, "the agent does not read its control stream"});
  }
  return data.size();
}

void AgentSession::end() { close(Error{Code::PROTOCOL, "the control stream ended"}); }

void AgentSession::reset(mux::ResetReason reason) {
  if (reason == mux::ResetReason::session_end) return;
  close(Error{Code::PROTOCOL, "the control stream was reset"});
}

void AgentSession::send() {
  control_out_ += control_.take_output();
  if (!control_out_.empty()) driver_.mux().wake(control_stream_);
}

void AgentSession::tell_shared(const std::string& tunnel, std::uint32_t agents) {
  control_.shared(tunnel, agents);
  send();
}

void AgentSession::drain() {
  for (auto& [id, tunnel] : tunnels_) tunnel.port.reset();
  control_.drain("the relay is shutting down", 1000, limits::kDrain / std::chrono::milliseconds(1));
  send();
}

void AgentSession::close(const Error& why) {
  closed_ = true;
  control_.fail(why);
  refuse(why);
}

void AgentSession::refuse(const Error& why) {
  retire();
  counted_.reset();
  send();
  driver_.close(why.code, why.detail);
}

// A session that ends takes no new visitor, and gives its ports back at once: the same agent may be
// asking for them on its next connection.
void AgentSession::retire() {
  for (const auto& [id, tunnel] : tunnels_) context_.registry.unbind(id, this);
  tunnels_.clear();
  access_.clear();
  context_.memory.give_back(std::exchange(access_size_, 0));
  context_.registry.remove(this);
}

// --- Hello and Bind ---

void AgentSession::on_hello(control::HelloInfo hello) {
  const Result<Admission> admitted = context_.credentials.admit(hello);
  if (!admitted) {
    log::write(log::Level::warn, "agent refused", admitted.error(), {{"peer", peer_}});
    ++context_.metrics.refused[admitted.error().code];
    return close(admitted.error());
  }
  const store::TokenInfo& owner = admitted->owner;
  const std::vector<std::string> plans = context_.accounting.plans().names();
  if (admitted->claims && !plans.empty()) {
    if (const auto known = check_plan(admitted->claims->plan, plans); !known) {
      return close(Error{Code::BAD_JWT, known.error().detail});
    }
  }
  auto account = context_.accounting.account(owner);
  if (!account) {
    log::write(log::Level::error, "usage not known", account.error());
    return close(Error{Code::STORE, "what the owner has used could not be read"});
  }
  account_ = std::move(*account);
  // A new session of the same agent replaces the ghost of the old one at once.
  for (AgentSession* other : std::vector(context_.registry.sessions())) {
    if (other != this && other->identity_ == identity_ && !other->over_) {
      other->close(Error{Code::REPLACED, {}});
    }
  }
  std::size_t& sessions = context_.token_sessions[owner.id];
  if (sessions >= limits::kTokenSessions) {
    log::warn("agent refused",
              {{"peer", peer_}, {"code", "LEAT_TOO_MANY_SESSIONS"}, {"credential", owner.name}});
    return close(Error{Code::TOO_MANY_SESSIONS, {}});
  }
  counted_.emplace(sessions);
  hello_timer_.disarm();
  waiting_.reset();
  token_id_ = owner.id;
  credential_name_ = owner.name;
  host_name_ = hello.host_name;
  software_ = hello.software;
  ++context_.metrics.agents_joined;
  if (context_.seen.size() >= kSeenAgents) context_.seen.clear();
  if (!context_.seen.insert(identity_).second) ++context_.metrics.reconnects;
  claims_ = admitted->claims;
  if (claims_) watch_expiry();
  log::info("agent joined", {{"session", session_name_},
                             {"peer", peer_},
                             {"credential", credential_name_},
                             {"identity", hex(Bytes(identity_).first(8))},
                             {"software", hello.software},
                             {"host", hello.host_name}});
  control_.welcome(session_name_, credential_name_, admitted->issued);
}

// By the wall clock, which may jump; and an end may be further off than a timer counts.
void AgentSession::watch_expiry() {
  const std::chrono::seconds left = context_.credentials.left(*claims_);
  if (left.count() <= 0) return close(Error{Code::JWT_EXPIRED, {}});
  expiry_timer_.arm_in(std::min<std::chrono::seconds>(left, kLookAgain));
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
  Context::WritePace& pace = context_.write_paces[token_id_];
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
    if (known && !may_have_another(context_, *account_, asked.tunnel.id, wanted)) {
      known = leat::fail(Code::QUOTA_TUNNELS);
    }
    if (known) wanted.insert(asked.tunnel.id);
    if (!known) {
      asked.allowed = tl::unexpected(known.error());
    } else if (!*known) {
      if (!may_write) may_write = pace.writes.take(1, now);
      const std::vector<store::Claim> of_this = claims_of(asked);
      if (!*may_write || !pace.claims.take(static_cast<std::uint32_t>(of_this.size()), now)) {
        asked.allowed = leat::fail(Code::TOO_MANY_BINDS);
        continue;
      }
      unwritten.insert(unwritten.end(), of_this.size(), &asked);
      claims.insert(claims.end(), of_this.begin(), of_this.end());
    }
  }
  const std::vector<Result<void>> written = context_.store.claim(claims, token_id_, identity_);
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (!written[i]) unwritten[i]->allowed = written[i];
  }
  for (const Asked& asked : binds) answer(asked);
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
  if (http && !tunnel.is_public) return leat::fail(Code::NAME_IS_PUBLIC, tunnel.hosts.front());
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

void AgentSession::answer(const Asked& asked) {
  const Result<control::TunnelBound> result =
      asked.allowed.and_then([&] { return bind(asked.tunnel); });
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

Result<control::TunnelBound> AgentSession::bind(const control::TunnelRequest& tunnel) {
  if (const Result<void> set = set_access(tunnel); !set) return tl::unexpected(set.error());
  control::TunnelBound bound{tunnel.id, urls(tunnel), 0};
  Tunnel held{tunnel, nullptr, {}};
  held.request.visitors = {};  // access_ has them
  if (tunnel.kind == control::TunnelKind::tcp) {
    // Bound again: its port is given back first, and it is nobody's should there be no other.
    tunnels_.erase(tunnel.id);
    context_.registry.unbind(tunnel.id, this);
    auto lent = context_.ports.lend(
        tunnel.id, tunnel.remote_port, [&context = context_, id = tunnel.id](net::Fd socket) {
          Knock::start(context, std::move(socket), Knock::Door::tcp,
                       [&context, id](Knock::Guest guest) {
                         TcpVisitor::start(context, std::move(guest), id, control::TunnelKind::tcp);
                       });
        });
    if (!lent) {
      forget_access(tunnel.id);
      return tl::unexpected(lent.error());
    }
    held.port = std::move(*lent);
    bound.remote_port = held.port->port();
    bound.urls.push_back("tcp://" + HostPort{context_.public_host, bound.remote_port}.text());
  } else if (tunnel.kind == control::TunnelKind::sealed) {
    bound.urls.push_back(context_.public_url + "/sealed/" + tunnel.id);
  }
  for (const std::string& host : tunnel.hosts) {
    if (context_.names.below_domain(host)) continue;
    held.hosts.push_back(context_.names.hold(host, tunnel.id));
  }
  tunnels_.insert_or_assign(tunnel.id, std::move(held));
  context_.registry.bind(tunnel.id, tunnel.kind, this);
  return bound;
}

void AgentSession::list_tunnels(const Account& account, std::set<std::string_view>& out) const {
  if (account_.get() != &account) return;
  for (const auto& [id, lease] : tunnels_) out.insert(id);
}

AgentSession::About AgentSession::about() {
  const mux::Stats& stats = driver_.mux().stats();
  About out;
  out.host_name = host_name_;
  out.software = software_;
  out.peer = peer_;
  out.since = since_;
  out.streams = stats.streams;
  out.bytes_in = stats.data_out;  // from visitors is to the agent
  out.bytes_out = stats.data_in;
  out.rtt = driver_.link_stats().rtt;
  for (const auto& [tunnel, lease] : tunnels_) out.tunnels.push_back(tunnel);
  std::ranges::sort(out.tunnels);
  return out;
}

std::vector<control::TunnelRequest> AgentSession::revoke(const std::string& name) {
  std::vector<control::TunnelRequest> taken;
  for (const auto& [id, tunnel] : tunnels_) {
    const auto& hosts = tunnel.request.hosts;
    if (id != name && std::ranges::find(hosts, name) == hosts.end()) continue;
    taken.push_back(tunnel.request);
  }
  for (const control::TunnelRequest& tunnel : taken) {
    tunnels_.erase(tunnel.id);
    forget_access(tunnel.id);
    context_.registry.unbind(tunnel.id, this);
    control_.notice(Error{Code::REVOKED, name + " was taken away"}, tunnel.id);
  }
  if (!taken.empty()) send();
  return taken;
}

void AgentSession::notice(const Account& account, Code code) {
  if (over_ || account_.get() != &account) return;
  const auto left = account.resets_in(code, context_.accounting.now());
  control_.notice(Error{code, "it resets in " + std::to_string(left.count()) + " s"});
  send();
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

// Visitors who are there and whom the new rules would not let in are cut.
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

// Best first: a name is an origin of its own, and leads here if its owner saw to that.
std::vector<std::string> AgentSession::urls_of(const std::string& tunnel) const {
  const auto found = tunnels_.find(tunnel);
  if (found == tunnels_.end()) return {};
  const Tunnel& held = found->second;
  if (held.port) return {"tcp://" + HostPort{context_.public_host, held.port->port()}.text()};
  if (held.request.kind == control::TunnelKind::sealed) {
    return {context_.public_url + "/sealed/" + tunnel};
  }
  return urls(held.request);
}

std::vector<std::string> AgentSession::urls(const control::TunnelRequest& tunnel) const {
  if (tunnel.kind == control::TunnelKind::ws) {
    std::vector<std::string> urls = {room_url(context_.public_url, tunnel.id)};
    if (!context_.names_first) return urls;
    const std::string host = context_.url_of(context_.names.host_of(tunnel.id));
    urls.push_back("ws" + host.substr(std::string_view("http").size()) + "/");
    return urls;
  }
  const bool tls = tunnel.kind == control::TunnelKind::tls;
  if (!tls && tunnel.kind != control::TunnelKind::http) return {};
  const auto url = [&](const std::string& host) {
    return tls ? "tls://" + HostPort{host, context_.tls_port}.text() : context_.url_of(host) + "/";
  };
  std::vector<std::string> urls;
  for (const std::string& host : tunnel.hosts) urls.push_back(url(host));
  if (context_.names.has_domain() && (tls || context_.names_first)) {
    const std::string host = context_.names.host_of(tunnel.id);
    if (std::ranges::find(tunnel.hosts, host) == tunnel.hosts.end()) urls.push_back(url(host));
  }
  if (!tls) urls.push_back(context_.public_url + "/tunnel/" + tunnel.id + "/");
  return urls;
}

void AgentSession::on_unbind(const std::string& tunnel) {
  tunnels_.erase(tunnel);
  forget_access(tunnel);
  context_.registry.unbind(tunnel, this);
  log::info("tunnel unbound", {{"tunnel", tunnel}});
}

void AgentSession::on_health(const std::string& tunnel, const Error* failure) {
  context_.registry.set_health(tunnel, this, failure == nullptr);
  if (failure == nullptr) {
    return log::info("service up", {{"tunnel", tunnel}, {"session", session_name_}});
  }
  log::write(log::Level::info, "service down", *failure,
             {{"tunnel", tunnel}, {"session", session_name_}});
}

void AgentSession::on_leave() {
  leaves_ = true;
  // No ghost either: the same agent may be back on another connection before this one has ended.
  retire();
  leave_timer_.arm_in(Duration(0));
}

// The agent cannot know when a visitor has taken the last byte of an answer; what it has finished
// may still lie here. Only the relay can say that everything was delivered.
void AgentSession::part() {
  const mux::Stats& stats = driver_.mux().stats();
  const bool served = stats.streams <= 1 && stats.buffered == 0;  // the control stream is left
  if (!served) return leave_timer_.arm_in(kLeavePoll);
  refuse(Error{Code::DRAINING, "the agent has left"});
}

void AgentSession::check_credential() {
  if (token_id_ == 0 || over_) return;
  const Result<bool> good = context_.store.is_live(token_id_);
  if (!good || *good) return;  // a database that cannot be read cuts nobody who was let in
  close(Error{Code::REVOKED, credential_name_});
}

}  // namespace leat::relay
