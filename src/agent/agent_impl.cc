#include "agent/agent_impl.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "agent/service_likeness.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"

namespace leat::agent {
namespace {

using State = Status::State;

// How long visitors have to take what is theirs; the rest of limits::kDrain is for closing.
constexpr auto kLeave = limits::kDrain - std::chrono::seconds(3);

// The token; where another key of this machine's joined for it, with that key's word.
Result<control::Credential> credential_of(const Options& options, const PublicKey& identity) {
  control::Credential credential = options.token;
  if (options.joined_dir.empty() || options.joined_dir == options.state_dir) return credential;
  const auto joined = SigningKey::load_or_create(options.joined_dir + "/identity.pem");
  if (!joined) return tl::unexpected(joined.error());
  const std::string message = control::delegate_message(identity);
  credential.delegation = {joined->public_key(), joined->sign(as_bytes(message))};
  return credential;
}

// A relay that dies says nothing; one that closes by its own will gives another code.
net::Backoff::End end_of(Code why) {
  const bool cut = why == Code::CARRIER_CUT || why == Code::TIMEOUT;
  return cut ? net::Backoff::End::cut : net::Backoff::End::closed;
}

}  // namespace

// --- making ---

Result<Agent::Impl::Contexts> Agent::Impl::make_contexts(const Options& options) {
  auto relay = net::TlsContext::client(options.trust, {net::kAlpnLeat});
  if (!relay) return tl::unexpected(relay.error());
  auto web_relay = net::TlsContext::client(options.trust, {net::kAlpnHttp});
  if (!web_relay) return tl::unexpected(web_relay.error());
  return Contexts{std::move(*relay), std::move(*web_relay)};
}

Result<std::unique_ptr<Agent::Impl>> Agent::Impl::create(net::Shard& shard, Options options,
                                                         Listener& events) {
  if (options.token.empty()) return fail(Code::NO_TOKEN);
  if (auto good = check_services(options.services); !good) return tl::unexpected(good.error());
  if (auto made = make_directory(options.state_dir, Code::STATE_DIR); !made) {
    return tl::unexpected(made.error());
  }
  auto identity = crypto::Identity::load_or_create(options.state_dir + "/identity.pem");
  if (!identity) return tl::unexpected(identity.error());
  auto credential = credential_of(options, identity->signing().public_key());
  if (!credential) return tl::unexpected(credential.error());
  auto tls = make_contexts(options);
  if (!tls) return tl::unexpected(tls.error());
  auto service_tls = make_service_tls(options.services, {});
  if (!service_tls) return tl::unexpected(service_tls.error());
  std::unique_ptr<Impl> made(new Impl(shard, std::move(options), std::move(*credential), events,
                                      std::move(*identity), std::move(*tls),
                                      std::move(*service_tls)));
  if (auto opened = made->open_gate(); !opened) return tl::unexpected(opened.error());
  return made;
}

Agent::Impl::Impl(net::Shard& shard, Options options, control::Credential credential,
                  Listener& events, crypto::Identity identity, Contexts tls, ServiceTls service_tls)
    : shard_(shard),
      options_(std::move(options)),
      credential_(std::move(credential)),
      events_(events),
      identity_(std::move(identity)),
      tls_(std::move(tls)),
      kept_(KeptIds::load(options_.state_dir)),
      service_tls_(std::move(service_tls)),
      requests_(std::make_shared<RequestLog>(shard)),
      retry_(shard, [this] { connect(); }),
      ask_again_(shard, [this] { ask_again(); }),
      leave_deadline_(shard, [this] { cut(); }) {
  status_.relay = options_.relay.text();
  for (const Service& service : options_.services) {
    const auto alike = [&](const Slot& slot) { return like(slot.egress->service, service); };
    add_slot(service, static_cast<std::size_t>(std::ranges::count_if(slots_, alike)),
             slots_.size());
  }
}

Agent::Impl::~Impl() {
  for (const Slot& slot : slots_) {
    if (slot.egress) slot.egress->retire();
  }
}

std::vector<std::shared_ptr<Egress>> Agent::Impl::sealed_services() const {
  std::vector<const Slot*> slots;
  for (const Slot& slot : slots_) {
    if (slot.egress && slot.egress->service.sealed) slots.push_back(&slot);
  }
  std::ranges::sort(slots, {}, &Slot::order);
  std::vector<std::shared_ptr<Egress>> out;
  for (const Slot* slot : slots) out.push_back(slot->egress);
  return out;
}

Result<void> Agent::Impl::open_gate() {
  if (gate_) return {};
  if (sealed_services().empty()) {
    if (options_.direct.empty()) return {};
    return fail(Code::CONFIG, "direct: no service is sealed");
  }
  gate_ = std::make_unique<SealedGate>(shard_, identity_, options_.state_dir, options_.padding,
                                       SealedGate::Services{[this] { return sealed_services(); }});
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
  for (const Slot& slot : slots_) slot.egress->health.start();
}

void Agent::Impl::connect() {
  std::erase_if(slots_, [](const Slot& slot) { return !slot.egress; });
  std::vector<control::TunnelRequest> requests;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].answered = false;
    requests.push_back(request(i));
  }
  welcomed_ = false;
  refused_.clear();
  ask_backoff_.succeeded();
  bound_ = 0;
  relay_drains_.reset();
  control::Client client(*this, identity_.signing().public_key(), credential_, options_.host_name,
                         std::move(requests));
  const bool websocket = options_.carrier != Carrier::tls || fallen_back_;
  const net::TlsContext* tls = websocket ? &tls_.web_relay : &tls_.relay;
  if (options_.carrier == Carrier::plain_websocket) tls = nullptr;
  const Connection::Relay relay{
      options_.relay, tls, websocket, options_.proxy, identity_.signing(), options_.send_governor};
  Connection::Owner& owner = *this;
  connection_ = std::make_unique<Connection>(shard_, relay, std::move(client), owner);
  connection_->start();
}

void Agent::Impl::on_lost(const Error& why) {
  if (!connection_) return;  // given up earlier in this batch, and not yet gone
  status();                  // the last figures of the session
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
  if (welcomed_) backoff_.lived(now - welcomed_at_, end_of(why.code), now);
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
// waits for another network. A relay of another version where this agent has been let in is being
// upgraded or rolled back, and may be again; one whose keys refuse the JWT that let it in was given
// the wrong ones, and may be given the right ones.
bool Agent::Impl::gives_up(Code code) const {
  if (code == Code::VERSION_MISMATCH || code == Code::BAD_JWT) return !ever_welcomed_;
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
  std::vector<const Slot*> slots;
  for (const Slot& slot : slots_) {
    if (slot.egress) slots.push_back(&slot);
  }
  std::ranges::sort(slots, {}, &Slot::order);
  status_.tunnels.clear();
  for (const Slot* slot : slots) {
    TunnelStatus& tunnel = status_.tunnels.emplace_back(slot->status);
    tunnel.health = slot->egress->health.state();
    tunnel.health_error = slot->egress->health.why();
  }
  status_.streams = connection_ ? connection_->streams() : 0;
  if (net::SessionDriver* session = connection_ ? connection_->session() : nullptr) {
    const mux::Stats& stats = session->mux().stats();
    status_.bytes_sent = past_sent_ + stats.data_out;
    status_.bytes_received = past_received_ + stats.data_in;
    status_.rtt = session->link_stats().rtt;
  }
  return status_;
}

std::string Agent::Impl::metrics() {
  return metrics_text(status(), *metrics_, connection_ ? connection_->session() : nullptr);
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
    if (auto written = write_state(options_.state_dir, status()); !written) {
      log::write(log::Level::warn, "state.unwritten", written.error());
    }
    events_.on_status(status_);
  }
  if (status_.state != State::stopped && status_.state != State::refused) return;
  if (const auto fatal = std::exchange(fatal_, std::nullopt)) events_.on_fatal(*fatal);
  if (const auto done = std::exchange(done_, nullptr)) done();
}

}  // namespace leat::agent
