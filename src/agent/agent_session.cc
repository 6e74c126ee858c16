// What the relay says on the control stream, and what the agent makes of it.
#include <algorithm>
#include <utility>

#include "agent/agent_impl.h"
#include "base/log.h"

namespace leat::agent {

using State = Status::State;

namespace {

// Neither time nor anybody else's doing makes these good while the session lasts.
bool may_pass(Code code) {
  switch (code) {
    case Code::BAD_TUNNEL_ID:
    case Code::NAME_IS_PUBLIC:
    case Code::PORT_REFUSED:
    case Code::VERSION_MISMATCH:
    case Code::CONFIG:
      return false;
    default:
      return true;
  }
}

bool is_relays_trouble(Code code) {
  return code == Code::STORE || code == Code::TOO_MANY_BINDS || code == Code::DRAINING;
}

}  // namespace

Egress* Agent::Impl::find_egress(std::string_view tunnel) {
  const auto found = by_id_.find(tunnel);
  return found == by_id_.end() ? nullptr : found->second;
}

void Agent::Impl::on_welcome(const std::string& session, const std::string& credential_name) {
  welcomed_ = true;
  welcomed_at_ = shard_.now();
  if (std::exchange(ever_welcomed_, true)) ++status_.reconnects;
  log::info("relay.welcome", {{"relay", status_.relay},
                              {"session", session},
                              {"token", credential_name},
                              {"tries", repeated_ + 1}});
  logged_.reset();
  repeated_ = 0;
  if (relay_drains_) leave();  // it said so before it had read Hello
}

void Agent::Impl::on_bound(std::size_t index, const control::TunnelBound& tunnel) {
  Egress& egress = *egresses_[index];
  by_id_.erase(egress.id);
  egress.id = tunnel.id;
  by_id_[tunnel.id] = &egress;
  if (egress.service.id.empty()) keep_id(index, tunnel.id);
  TunnelStatus& status = status_.tunnels[index];
  status.id = tunnel.id;
  status.urls = tunnel.urls;
  status.remote_port = tunnel.remote_port;
  status.error.reset();
  log::info("tunnel.bound", {{"tunnel", tunnel.id},
                             {"target", status.target},
                             {"url", tunnel.urls.empty() ? "" : tunnel.urls.front()},
                             {"remote_port", tunnel.remote_port}});
  ++bound_;
  ever_bound_ = true;
  if (refused_.empty()) ask_backoff_.succeeded();
  answered();
}

void Agent::Impl::on_bind_failed(std::size_t index, const Error& error) {
  Egress& egress = *egresses_[index];
  TunnelStatus& status = status_.tunnels[index];
  status.urls.clear();
  const bool again = status.error && status.error->code == error.code;
  status.error = error;
  log::write(again ? log::Level::debug : log::Level::error, "tunnel.refused", error,
             {{"tunnel", egress.id}, {"target", status.target}});
  const bool forgotten = error.code == Code::NAME_IS_PUBLIC || error.code == Code::TUNNEL_TAKEN;
  if (forgotten && egress.service.id.empty() && !egress.id.empty()) {
    // The relay that made this id does not know it any more: it is to make another.
    keep_id(index, {});
    by_id_.erase(egress.id);
    egress.id.clear();
    status.id.clear();
    return connection_->bind(index, request(index));
  }
  if (may_pass(error.code)) {
    refused_.push_back(index);
    if (!ask_again_.armed()) ask_again_.arm_in(ask_backoff_.next(shard_.now()));
  }
  answered();
}

// The others are served meanwhile.
void Agent::Impl::ask_again() {
  for (const std::size_t index : std::exchange(refused_, {})) {
    connection_->bind(index, request(index));
  }
}

control::TunnelRequest Agent::Impl::request(std::size_t index) const {
  const Service& service = egresses_[index]->service;
  const auto kind = service.sealed ? control::TunnelKind::sealed : service.kind;
  return {egresses_[index]->id, kind, service.is_public, service.remote_port};
}

// Online means that every tunnel has its answer, so that who waits for it finds the URLs.
void Agent::Impl::answered() {
  const bool leaving = status_.state == State::draining || relay_drains_;
  if (++answers_ < egresses_.size() || leaving || status_.state == State::online) return publish();
  if (bound_ > 0) return set_state(State::online);
  // Refused from the start, it is the configuration; later it is a state of the relay, which may
  // pass, and so may its own trouble at any time.
  const auto refused = std::ranges::find_if(status_.tunnels, [](const auto& tunnel) {
    return tunnel.error && !is_relays_trouble(tunnel.error->code);
  });
  if (!ever_bound_ && refused != status_.tunnels.end()) return give_up(*refused->error);
  publish();
}

void Agent::Impl::keep_id(std::size_t index, std::string_view id) {
  const auto kept = kept_.keep(status_.relay, egresses_[index]->service, nth_[index], id);
  if (!kept) log::write(log::Level::warn, "state.unwritten", kept.error());
}

// Streams that run go on; when the last of them has ended the relay closes, and the agent comes
// back when it was told to.
void Agent::Impl::on_drain(const std::string& reason, std::uint32_t retry_after_ms,
                           const std::vector<std::string>&) {
  log::info("relay.draining",
            {{"relay", status_.relay}, {"reason", reason}, {"retry_after_ms", retry_after_ms}});
  relay_drains_ = std::chrono::milliseconds(retry_after_ms);
  if (welcomed_) leave();
}

void Agent::Impl::on_notice(const Error& error) {
  status_.last_error = error;
  log::write(log::Level::warn, "relay.notice", error, {{"relay", status_.relay}});
  publish();
}

}  // namespace leat::agent
