#include "agent/agent_impl.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"

namespace leat::agent {
namespace {

using State = Status::State;

// A session that ends sooner has not shown that the relay is well again: the backoff goes on.
constexpr auto kProven = std::chrono::seconds(1);

// How long visitors have to take what is theirs; the rest of limits::kDrain is for closing.
constexpr auto kLeave = limits::kDrain - std::chrono::seconds(3);

}  // namespace

// --- making ---

Result<Agent::Impl::Contexts> Agent::Impl::make_contexts(const Options& options) {
  auto relay = net::TlsContext::client(options.trust, {net::kAlpnLeat});
  if (!relay) return tl::unexpected(relay.error());
  auto web_relay = net::TlsContext::client(options.trust, {net::kAlpnHttp});
  if (!web_relay) return tl::unexpected(web_relay.error());
  Contexts contexts{std::move(*relay), std::move(*web_relay), std::nullopt, std::nullopt};
  for (const Service& service : options.services) {
    auto& wanted = service.insecure ? contexts.insecure_services : contexts.services;
    if (!service.target_tls || wanted) continue;
    net::TlsContext::Trust trust;
    trust.insecure = service.insecure;
    auto made = net::TlsContext::client(trust, {net::kAlpnHttp});
    if (!made) return tl::unexpected(made.error());
    wanted = std::move(*made);
  }
  return contexts;
}

Result<std::unique_ptr<Agent::Impl>> Agent::Impl::create(net::Shard& shard, Options options,
                                                         Listener& events) {
  if (options.token.empty()) return fail(Code::NO_TOKEN);
  if (options.services.empty()) return fail(Code::CONFIG, "no services");
  for (auto at = options.services.begin(); at != options.services.end(); ++at) {
    const auto same = [&](const Service& other) { return other.id == at->id; };
    if (!at->id.empty() && std::any_of(options.services.begin(), at, same)) {
      return fail(Code::CONFIG, "two services have the id \"" + at->id + "\"");
    }
  }
  if (auto made = make_directory(options.state_dir, Code::STATE_DIR); !made) {
    return tl::unexpected(made.error());
  }
  auto identity = crypto::Identity::load_or_create(options.state_dir + "/identity.pem");
  if (!identity) return tl::unexpected(identity.error());
  auto tls = make_contexts(options);
  if (!tls) return tl::unexpected(tls.error());
  std::unique_ptr<Impl> made(
      new Impl(shard, std::move(options), events, std::move(*identity), std::move(*tls)));
  if (auto opened = made->open_gate(); !opened) return tl::unexpected(opened.error());
  return made;
}

Agent::Impl::Impl(net::Shard& shard, Options options, Listener& events, crypto::Identity identity,
                  Contexts tls)
    : shard_(shard),
      options_(std::move(options)),
      events_(events),
      identity_(std::move(identity)),
      tls_(std::move(tls)),
      kept_(KeptIds::load(options_.state_dir)),
      retry_(shard, [this] { connect(); }),
      ask_again_(shard, [this] { ask_again(); }),
      leave_deadline_(shard, [this] { cut(); }) {
  status_.relay = options_.relay.text();
  for (const Service& service : options_.services) add_service(service);
}

void Agent::Impl::add_service(const Service& service) {
  const auto alike = [&](const auto& other) {
    return other->service.kind == service.kind &&
           other->service.target_text() == service.target_text();
  };
  nth_.push_back(static_cast<std::size_t>(std::ranges::count_if(egresses_, alike)));
  const auto& tls = service.insecure ? tls_.insecure_services : tls_.services;
  auto egress =
      std::make_unique<Egress>(shard_, service, service.target_tls ? &tls.value() : nullptr);
  if (egress->id.empty()) egress->id = kept_.find(status_.relay, service, nth_.back());
  TunnelStatus& tunnel = status_.tunnels.emplace_back();
  tunnel.id = egress->id;
  tunnel.kind = service.sealed ? control::TunnelKind::sealed : service.kind;
  tunnel.target = service.target_text();
  egresses_.push_back(std::move(egress));
}

Result<void> Agent::Impl::open_gate() {
  const auto& services = options_.services;
  if (std::ranges::none_of(services, &Service::sealed)) {
    if (options_.direct.empty()) return {};
    return fail(Code::CONFIG, "direct: no service is sealed");
  }
  const auto sealed = [this] {
    std::vector<Egress*> out;
    for (const auto& egress : egresses_) {
      if (egress->service.sealed) out.push_back(egress.get());
    }
    return out;
  };
  gate_ = std::make_unique<SealedGate>(shard_, identity_.sealing(), options_.state_dir,
                                       options_.padding, SealedGate::Services{sealed});
  for (const HostPort& address : options_.direct) {
    if (auto opened = gate_->listen(address); !opened) return opened;
  }
  const bool plain = options_.carrier == Carrier::plain_websocket;
  status_.ways =
      Status::Ways{(plain ? "ws://" : "wss://") + options_.relay.text(),
                   options_.trust.pin.value_or(""), options_.host_name, gate_->addresses()};
  return {};
}

// --- connecting ---

void Agent::Impl::start() {
  set_state(State::connecting);
  connect();
}

void Agent::Impl::connect() {
  std::vector<control::TunnelRequest> requests;
  for (std::size_t i = 0; i < egresses_.size(); ++i) requests.push_back(request(i));
  welcomed_ = false;
  refused_.clear();
  ask_backoff_.succeeded();
  answers_ = bound_ = 0;
  relay_drains_.reset();
  control::Client client(*this, identity_.signing().public_key(), options_.token,
                         options_.host_name, std::move(requests));
  const bool websocket = options_.carrier != Carrier::tls || fallen_back_;
  const net::TlsContext* tls = websocket ? &tls_.web_relay : &tls_.relay;
  if (options_.carrier == Carrier::plain_websocket) tls = nullptr;
  const Connection::Relay relay{options_.relay, tls, websocket, options_.proxy,
                                identity_.signing()};
  Connection::Owner& owner = *this;
  connection_ = std::make_unique<Connection>(shard_, relay, std::move(client), owner);
  connection_->start();
}

void Agent::Impl::on_lost(const Error& why) {
  status();  // the last figures of the session
  past_sent_ = status_.bytes_sent;
  past_received_ = status_.bytes_received;
  ever_verified_ |= connection_->verified();
  shard_.dispose(std::move(connection_));
  leave_deadline_.disarm();
  ask_again_.disarm();
  if (fatal_) return give_up(*fatal_);
  if (status_.state == State::draining) return stop();
  if (gives_up(why.code)) return give_up(why);
  const Time now = shard_.now();
  if (welcomed_ && now - welcomed_at_ >= kProven) backoff_.succeeded();
  Duration delay = try_the_other(why.code) ? Duration(0) : backoff_.next(now);
  if (relay_drains_) delay = std::max(delay, *relay_drains_);
  status_.last_error = why;
  log_lost(why, delay);
  set_state(State::connecting);
  retry_.arm_in(delay);
}

// A web server or a proxy that ends TLS in front of the relay refuses leat/1 and may pass a
// WebSocket; one that does neither may be replaced by the relay one day.
bool Agent::Impl::try_the_other(Code code) {
  if (options_.carrier != Carrier::tls) return false;
  if (code == Code::ALPN_REFUSED) return std::exchange(fallen_back_, true) == false;
  if (code == Code::UPGRADE_REFUSED) fallen_back_ = false;
  return false;
}

// A certificate that is not the one expected is never trusted, but where the relay's has been seen
// with these very settings, the wrong one is more likely a hotel's than the relay's: the agent
// waits for another network.
bool Agent::Impl::gives_up(Code code) const {
  const bool elsewhere = code == Code::PIN_MISMATCH || code == Code::CERTIFICATE_REFUSED;
  return is_final(code) && !(elsewhere && ever_verified_);
}

void Agent::Impl::log_lost(const Error& why, Duration delay) {
  const bool again = logged_ && logged_->code == why.code && logged_->detail == why.detail;
  repeated_ = again ? repeated_ + 1 : 0;
  logged_ = why;
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(delay).count();
  // Said again when there have been twice as many attempts: somebody may be watching.
  const bool quiet = again && !std::has_single_bit(repeated_);
  log::write(quiet ? log::Level::debug : log::Level::warn, "relay.lost", why,
             {{"relay", status_.relay}, {"retry_in_ms", static_cast<std::int64_t>(wait)}});
}

// --- leaving ---

void Agent::Impl::drain(std::function<void()> done) {
  done_ = std::move(done);
  if (status_.state == State::draining) return;
  if (status_.state == State::stopped || status_.state == State::refused) return publish();
  set_state(State::draining);
  if (gate_) gate_->drain(true);
  retry_.disarm();
  if (!welcomed_ || !connection_) {
    shard_.dispose(std::move(connection_));
    return stop();
  }
  leave();
}

// on_lost() follows.
void Agent::Impl::leave() {
  ask_again_.disarm();
  if (gate_) gate_->drain(false);
  connection_->leave();
  leave_deadline_.arm_in(kLeave);
}

void Agent::Impl::cut() {
  if (connection_) connection_->close(Code::DRAINING, "the time to drain is over");
}

// The relay is told by closing; on_lost() comes back here.
void Agent::Impl::give_up(const Error& why) {
  fatal_ = why;
  if (connection_) return connection_->close(why.code, why.detail);
  status_.last_error = why;
  log::write(log::Level::error, "agent.refused", why, {{"relay", status_.relay}});
  set_state(State::refused);
}

void Agent::Impl::stop() {
  set_state(State::stopped);
  log::info("agent.stopped", {});
}

// --- telling ---

const Status& Agent::Impl::status() {
  status_.streams = connection_ ? connection_->streams() : 0;
  if (net::SessionDriver* session = connection_ ? connection_->session() : nullptr) {
    const mux::Stats& stats = session->mux().stats();
    status_.bytes_sent = past_sent_ + stats.data_out;
    status_.bytes_received = past_received_ + stats.data_in;
    status_.rtt = session->link_stats().rtt;
  }
  return status_;
}

void Agent::Impl::set_state(State state) {
  status_.state = state;
  status_.since = std::chrono::system_clock::now();
  publish();
}

void Agent::Impl::publish() {
  changed_ = true;
  shard_.defer(*this);  // once a batch, however many tunnels were bound in it
}

void Agent::Impl::on_deferred() {
  if (std::exchange(changed_, false)) {
    if (auto written = write_state(options_.state_dir, status_); !written) {
      log::write(log::Level::warn, "state.unwritten", written.error());
    }
    events_.on_status(status());
  }
  if (status_.state != State::stopped && status_.state != State::refused) return;
  if (const auto fatal = std::exchange(fatal_, std::nullopt)) events_.on_fatal(*fatal);
  if (const auto done = std::exchange(done_, nullptr)) done();
}

}  // namespace leat::agent
