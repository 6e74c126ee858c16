#include "relay/agent_session.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "base/log.h"
#include "control/client.h"
#include "relay/tcp_visitor.h"

namespace leat::relay {
namespace {

// How often a session whose agent wants to leave is looked at.
constexpr auto kLeavePoll = std::chrono::milliseconds(10);

mux::Config config_of(Context& context) {
  mux::Config config = mux::Config::native(mux::Role::server);
  config.memory = &context.memory;
  return config;
}

}  // namespace

AgentSession::AgentSession(Context& context, std::unique_ptr<net::Transport> carrier,
                           const net::SessionId& session, const PublicKey& identity,
                           std::optional<Waiting> waiting)
    : context_(context),
      identity_(identity),
      session_name_(hex(Bytes(session).first(8))),
      peer_(carrier->peer()),
      driver_(context.shard, config_of(context), *this, std::move(carrier)),
      control_(*this, identity),
      hello_timer_(context.shard,
                   [this] {
                     close(Error{Code::TIMEOUT, "no Hello"});
                   }),
      leave_timer_(context.shard, [this] { part(); }),
      waiting_(std::move(waiting)) {}

AgentSession::~AgentSession() { driver_.mux().end_all(); }

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
  log::write(log::Level::info, "agent left", why,
             {{"session", session_name_}, {"peer", peer_}, {"credential", credential_name_}});
  hello_timer_.disarm();
  leave_timer_.disarm();
  retire();
  context_.sessions.release(*this);
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

void AgentSession::drain() {
  for (auto& [tunnel, listener] : tunnels_) listener.reset();
  control_.drain("the relay is shutting down", 1000, limits::kDrain / std::chrono::milliseconds(1));
  send();
}

void AgentSession::close(const Error& why) {
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
  for (const auto& [tunnel, lease] : tunnels_) context_.registry.unbind(tunnel, this);
  tunnels_.clear();
  context_.registry.remove(this);
}

// --- Hello and Bind ---

void AgentSession::on_hello(control::HelloInfo hello) {
  if (hello.kind != control::HelloInfo::Credential::token) {
    return close(
        Error{hello.kind == control::HelloInfo::Credential::none ? Code::NO_TOKEN : Code::BAD_TOKEN,
              "this relay takes tokens"});
  }
  const Result<std::optional<store::TokenInfo>> token = context_.store.verify(hello.credential);
  if (!token) {
    log::write(log::Level::error, "token not checked", token.error());
    return close(Error{Code::STORE, "the credential could not be checked"});
  }
  if (!*token) {
    log::warn("agent refused", {{"peer", peer_}, {"code", "LEAT_BAD_TOKEN"}});
    return close(Error{Code::BAD_TOKEN, {}});
  }
  // A new session of the same agent replaces the ghost of the old one at once.
  for (AgentSession* other : std::vector(context_.registry.sessions())) {
    if (other != this && other->identity_ == identity_ && !other->over_) {
      other->close(Error{Code::REPLACED, {}});
    }
  }
  std::size_t& sessions = context_.token_sessions[(*token)->id];
  if (sessions >= limits::kTokenSessions) {
    log::warn(
        "agent refused",
        {{"peer", peer_}, {"code", "LEAT_TOO_MANY_SESSIONS"}, {"credential", (*token)->name}});
    return close(Error{Code::TOO_MANY_SESSIONS, {}});
  }
  counted_.emplace(sessions);
  hello_timer_.disarm();
  waiting_.reset();
  token_id_ = (*token)->id;
  credential_name_ = (*token)->name;
  log::info("agent joined", {{"session", session_name_},
                             {"peer", peer_},
                             {"credential", credential_name_},
                             {"identity", hex(Bytes(identity_).first(8))},
                             {"software", hello.software},
                             {"host", hello.host_name}});
  control_.welcome(session_name_, credential_name_);
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
  std::optional<bool> may_write;  // one wait for the disk
  for (Asked& asked : binds) {
    const Result<bool> known = check(asked);
    if (!known) {
      asked.allowed = tl::unexpected(known.error());
    } else if (!*known) {
      if (!may_write) may_write = pace.writes.take(1, now);
      if (!*may_write || !pace.claims.take(1, now)) {
        asked.allowed = leat::fail(Code::TOO_MANY_BINDS);
        continue;
      }
      unwritten.push_back(&asked);
      claims.push_back({asked.tunnel.id, asked.generated});
    }
  }
  const std::vector<Result<void>> written = context_.store.claim(claims, token_id_, identity_);
  for (std::size_t i = 0; i < written.size(); ++i) unwritten[i]->allowed = written[i];
  for (const Asked& asked : binds) answer(asked);
}

// Whether the store has this very claim already, if it may be made at all.
Result<bool> AgentSession::check(Asked& asked) {
  control::TunnelRequest& tunnel = asked.tunnel;
  if (context_.draining || leave_timer_.armed()) return leat::fail(Code::DRAINING);
  if (tunnel.kind != control::TunnelKind::http && tunnel.kind != control::TunnelKind::tcp &&
      tunnel.kind != control::TunnelKind::sealed) {
    return leat::fail(Code::PROTOCOL, "this relay serves http, tcp and sealed tunnels");
  }
  if (tunnel.id.empty()) {
    asked.generated = true;
    tunnel.id = random_id();
    return false;
  }
  // A generated id is a secret, which its owner may ask for again; any other http id can be
  // guessed. A tcp tunnel is reached by its port, whatever it is called, and a sealed one lets in
  // paired devices only.
  if (tunnel.kind == control::TunnelKind::http && !tunnel.is_public) {
    const Result<bool> generated = context_.store.is_generated(tunnel.id, token_id_);
    if (!generated) return generated;
    if (!*generated) return leat::fail(Code::NAME_IS_PUBLIC, tunnel.id);
  }
  return context_.store.owns(tunnel.id, token_id_, identity_);
}

void AgentSession::answer(const Asked& asked) {
  const Result<control::TunnelBound> result =
      asked.allowed.and_then([&] { return bind(asked.tunnel); });
  if (!result) {
    log::write(log::Level::warn, "tunnel refused", result.error(),
               {{"tunnel", asked.tunnel.id}, {"credential", credential_name_}});
    return control_.refused(asked.request, result.error());
  }
  log::info("tunnel bound", {{"tunnel", result->id},
                             {"kind", control::name(asked.tunnel.kind)},
                             {"port", result->remote_port},
                             {"credential", credential_name_}});
  control_.bound(asked.request, *result);
}

Result<control::TunnelBound> AgentSession::bind(const control::TunnelRequest& tunnel) {
  control::TunnelBound bound{tunnel.id, {}, 0};
  std::unique_ptr<Ports::Lease> lease;
  if (tunnel.kind == control::TunnelKind::tcp) {
    // Bound again: its port is given back first, and it is nobody's should there be no other.
    tunnels_.erase(tunnel.id);
    context_.registry.unbind(tunnel.id, this);
    auto lent = context_.ports.lend(tunnel.remote_port,
                                    [&context = context_, id = tunnel.id](net::Fd socket) {
                                      TcpVisitor::start(context, std::move(socket), id);
                                    });
    if (!lent) return tl::unexpected(lent.error());
    lease = std::move(*lent);
    bound.remote_port = lease->port();
    bound.urls.push_back("tcp://" + HostPort{context_.public_host, lease->port()}.text());
  } else if (tunnel.kind == control::TunnelKind::sealed) {
    bound.urls.push_back(context_.public_url + "/sealed/" + tunnel.id);
  } else {
    bound.urls.push_back(context_.public_url + "/tunnel/" + tunnel.id + "/");
  }
  tunnels_[tunnel.id] = std::move(lease);
  context_.registry.bind(tunnel.id, tunnel.kind, this);
  return bound;
}

void AgentSession::on_unbind(const std::string& tunnel) {
  tunnels_.erase(tunnel);
  context_.registry.unbind(tunnel, this);
  log::info("tunnel unbound", {{"tunnel", tunnel}});
}

void AgentSession::on_leave() {
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
