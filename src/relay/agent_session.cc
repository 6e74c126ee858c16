#include "relay/agent_session.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "base/log.h"
#include "control/client.h"

namespace leat::relay {
namespace {

// How often a session whose agent wants to leave is looked at.
constexpr auto kLeavePoll = std::chrono::milliseconds(10);

constexpr auto kLookAgain = std::chrono::hours(1);  // whether a JWT has ended

mux::Config config_of(Context& context) {
  mux::Config config = mux::Config::native(mux::Role::server);
  config.memory = &context.memory;
  return config;
}

}  // namespace

AgentSession::AgentSession(Context& context, std::unique_ptr<net::Transport> carrier,
                           const net::SessionId& session, const PublicKey& identity,
                           Directory::Seat seat, std::optional<Counted> waiting)
    : context_(context),
      seat_(std::move(seat)),
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

// --- Hello ---

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
  auto account = context_.accounting.account(owner, context_.store);
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
  const std::string token = std::to_string(owner.id);
  if (context_.common.token_sessions.of(token) >= limits::kTokenSessions) {
    log::warn("agent refused",
              {{"peer", peer_}, {"code", "LEAT_TOO_MANY_SESSIONS"}, {"credential", owner.name}});
    return close(Error{Code::TOO_MANY_SESSIONS, {}});
  }
  counted_.emplace(context_.common.token_sessions, token);
  hello_timer_.disarm();
  waiting_.reset();
  token_id_ = owner.id;
  credential_name_ = owner.name;
  host_name_ = hello.host_name;
  software_ = hello.software;
  ++context_.metrics.agents_joined;
  if (context_.common.directory.has_been_here(identity_)) ++context_.metrics.reconnects;
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

void AgentSession::check_keys() {
  if (!claims_ || over_ || context_.credentials.knows(*claims_)) return;
  close(Error{Code::BAD_JWT, "its key was taken away"});
}

}  // namespace leat::relay
