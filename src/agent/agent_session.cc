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
    case Code::BAD_HOST:
    case Code::NAME_IS_PUBLIC:
    case Code::PORT_REFUSED:
    case Code::VERSION_MISMATCH:
    case Code::CONFIG:
    case Code::BAD_POLICY:
    case Code::TUNNEL_REFUSED:
      return false;
    default:
      return true;
  }
}

bool is_relays_trouble(Code code) {
  return code == Code::STORE || code == Code::TOO_MANY_BINDS || code == Code::DRAINING;
}

}  // namespace

std::shared_ptr<Egress> Agent::Impl::find_egress(std::string_view tunnel) {
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
  Slot& slot = slots_[index];
  if (!slot.egress) {
    // It went while the relay answered; the id may have come back with another service since.
    const bool wanted = std::ranges::any_of(
        slots_, [&](const Slot& other) { return other.egress && other.egress->id == tunnel.id; });
    if (!wanted) connection_->unbind(tunnel.id);
    return;
  }
  Egress& egress = *slot.egress;
  by_id_.erase(egress.id);
  egress.id = tunnel.id;
  by_id_[tunnel.id] = slot.egress;
  if (egress.service.id.empty()) keep_id(index, tunnel.id);
  TunnelStatus& status = slot.status;
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
  if (egress.health.state() == Health::State::down) report_health(egress);
  answered(slot);
}

void Agent::Impl::on_bind_failed(std::size_t index, const Error& error) {
  Slot& slot = slots_[index];
  if (!slot.egress) return;
  Egress& egress = *slot.egress;
  TunnelStatus& status = slot.status;
  status.urls.clear();
  const bool again = status.error && status.error->code == error.code;
  status.error = error;
  log::write(again ? log::Level::debug : log::Level::error, "tunnel.refused", error,
             {{"tunnel", egress.id}, {"target", status.target}});
  // Where the service has names of its own, it may be those that are refused.
  const bool forgotten = error.code == Code::TUNNEL_TAKEN ||
                         (error.code == Code::NAME_IS_PUBLIC && egress.service.hosts.empty());
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
  answered(slot);
}

// The others are served meanwhile.
void Agent::Impl::ask_again() {
  for (const std::size_t index : std::exchange(refused_, {})) {
    if (slots_[index].egress) connection_->bind(index, request(index));
  }
}

control::TunnelRequest Agent::Impl::request(std::size_t index) const {
  const Egress& egress = *slots_[index].egress;
  const Service& service = egress.service;
  const auto kind = service.sealed ? control::TunnelKind::sealed : service.kind;
  return {egress.id,          kind,         service.is_public, service.remote_port, service.hosts,
          service.first_byte, service.idle, service.visitors,  service.cors};
}

// Online means that every tunnel has its answer, so that who waits for it finds the URLs.
void Agent::Impl::answered(Slot& slot) {
  slot.answered = true;
  const bool all =
      std::ranges::all_of(slots_, [](const Slot& each) { return each.answered || !each.egress; });
  const bool leaving = status_.state == State::draining || relay_drains_;
  if (!all || leaving || status_.state == State::online) return publish();
  if (bound_ > 0) return set_state(State::online);
  // Refused from the start, it is the configuration; later it is a state of the relay, which may
  // pass, and so may its own trouble at any time.
  const auto refused = std::ranges::find_if(slots_, [](const Slot& each) {
    return each.egress && each.status.error && !is_relays_trouble(each.status.error->code);
  });
  if (!ever_bound_ && refused != slots_.end()) return give_up(*refused->status.error);
  publish();
}

void Agent::Impl::keep_id(std::size_t index, std::string_view id) {
  const auto kept = kept_.keep(status_.relay, slots_[index].egress->service, slots_[index].nth, id);
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

void Agent::Impl::on_shared(const std::string& tunnel, std::uint32_t agents) {
  if (!by_id_.contains(tunnel)) return;
  log::info("tunnel.shared", {{"tunnel", tunnel}, {"agents", agents}});
}

void Agent::Impl::on_notice(const Error& error) {
  status_.notice = error;
  status_.noticed = std::chrono::system_clock::now();
  ++metrics_->notices[error.code];
  log::write(log::Level::warn, "relay.notice", error, {{"relay", status_.relay}});
  publish();
}

// Not asked for again in this session: it was taken on purpose.
void Agent::Impl::on_taken(const std::string& tunnel, const Error& why) {
  const auto slot = std::ranges::find_if(slots_, [&](const Slot& each) {
    return each.egress && each.answered && each.egress->id == tunnel;
  });
  if (slot == slots_.end() || slot->status.error) return;
  log::write(log::Level::error, "tunnel.taken", why, {{"tunnel", tunnel}});
  slot->status.urls.clear();
  slot->status.remote_port = 0;
  slot->status.error = why;
  publish();
}

}  // namespace leat::agent
