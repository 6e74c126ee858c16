#include "agent/sealed_peer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/sealed_gate.h"
#include "agent/stream_intake.h"
#include "base/crypto_util.h"
#include "base/limits.h"
#include "base/log.h"
#include "http/proxy.h"

namespace leat::agent {
namespace {

constexpr std::uint32_t kStreams = 512;  // of a session, at once
// Of one who has been refused; who says more is cut before the refusal has left.
constexpr std::size_t kDiscarded = 64 * limits::KiB;

// 1 to 64 of what cannot break a log line or a field.
bool sane_id(const std::string* id) {
  return id != nullptr && !id->empty() && id->size() <= 64 && std::ranges::all_of(*id, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

SealedPeer::SealedPeer(SealedGate& gate, std::unique_ptr<net::Transport> pipe, std::string tunnel,
                       Owner& owner)
    : gate_(gate),
      owner_(owner),
      tunnel_(std::move(tunnel)),
      peer_(pipe->peer()),
      peer_host_(pipe->peer_host()),
      pipe_(std::move(pipe)),
      deadline_(gate.shard(),
                [this] {
                  ending_ ? over() : give_up({Code::TIMEOUT, "no handshake in time"});
                }),
      streams_(gate.shard()) {
  gate_.add(*this);
}

SealedPeer::~SealedPeer() {
  pairing_.clear();  // whoever lets it go before its end: not a try
  finish_handshake();
  gate_.remove(*this);
  if (pipe_) pipe_->set_owner(nullptr);
  if (carrier_) carrier_->set_owner(nullptr);
  // Streams detach from the session inside, which goes after them and tells nobody.
  if (driver_) driver_->mux().end_all();
}

void SealedPeer::start() {
  deadline_.arm_in(limits::kLinkHandshake);
  pipe_->set_owner(this);
  on_transport();
}

// As soon as the pipe takes something.
void SealedPeer::turn_away() {
  turn_away_ = true;
  deadline_.arm_in(limits::kLinkHandshake);
  pipe_->set_owner(this);
}

void SealedPeer::on_transport() {
  if (ending_) return discard();
  if (turn_away_) return refuse(Code::AGENT_BUSY);
  if (state_ == State::hello) read_hello();
  if (state_ == State::confirming && !ending_) read_opening();
}

// It was told no: until it goes, or its time is up, what it says is not heard.
void SealedPeer::discard() {
  net::Transport& last = pipe_ ? *pipe_ : static_cast<net::Transport&>(*carrier_);
  std::array<std::uint8_t, 4096> scratch;
  net::IoResult got;
  do {
    got = last.read(scratch);
    discarded_ += got.n;
  } while (got.status == net::IoStatus::ok && discarded_ < kDiscarded);
  if (got.status != net::IoStatus::would_block) over();
}

// --- the session ---

void SealedPeer::begin_session(Bytes surplus) {
  finish_handshake();
  state_ = State::session;
  net::SessionDriver::Owner& owner = *this;
  mux::Config config = mux::Config::native(mux::Role::server);
  config.max_streams = kStreams;
  config.memory = &gate_.memory();
  driver_ = std::make_unique<net::SessionDriver>(gate_.shard(), config, owner, std::move(carrier_));
  driver_->start(surplus);
}

void SealedPeer::check() {
  if (!device_ || state_ == State::over) return;
  const Device* const device = gate_.device(*device_);
  if (device != nullptr && !device->revoked) {
    // What it has open may be what it may use no more; for the rest it comes again.
    if (device->scope != scope_) {
      scope_ = device->scope;
      end_now({Code::OUT_OF_SCOPE, "what this device may use has changed"});
    }
    return;
  }
  log::info("device.revoked", {{"peer", peer_}, {"device", device ? device->name : "unknown"}});
  end_now({Code::REVOKED, "this device has been revoked"});
}

void SealedPeer::key_is_gone() {
  if (state_ == State::hello || state_ == State::over) return;
  pairing_.clear();
  end_now({Code::KEY_CHANGED, "the agent's owner has given it another key"});
}

// Tells the device, where there is a session to tell it in.
void SealedPeer::end(const Error& why) {
  driver_ ? driver_->close(why.code, why.detail) : give_up(why);
}

// Services see the end of it at once, whatever the device does about being told.
void SealedPeer::end_now(const Error& why) {
  if (driver_) driver_->mux().end_all();
  end(why);
}

void SealedPeer::make_way() {
  if (state_ == State::over) return;
  pairing_.clear();  // whoever came in between: not a try
  if (pipe_ && !ending_) say_no(Code::AGENT_BUSY);
  give_up({Code::AGENT_BUSY, "too many handshakes"});
}

void SealedPeer::drain() {
  draining_ = true;
  pairing_.clear();
  if (!driver_ || streams_.size() == 0) end({Code::DRAINING, "the agent is stopping"});
}

std::shared_ptr<Egress> SealedPeer::find(std::string_view service) {
  const Device* const device = gate_.device(*device_);
  return device == nullptr || device->revoked ? nullptr
                                              : gate_.find(service, meant_, device->scope);
}

// What the relay does to requests that come in the clear.
std::optional<Code> SealedPeer::admit(const Egress&, http::Request& request,
                                      std::string& request_id) {
  const Device* const device = gate_.device(*device_);
  if (device == nullptr || device->revoked) return Code::REVOKED;
  const std::string* const given = request.fields.find("X-Request-Id");
  request_id = sane_id(given) ? *given : random_id();
  if (request.target != "*") {
    auto target = http::canonical_target(request.target);
    if (!target) return Code::BAD_REQUEST;
    request.target = std::move(*target);
  }
  if (!device->scope.allows_target(request.target)) return Code::OUT_OF_SCOPE;
  http::forward(request);
  http::remove_forwarded(request.fields);
  request.fields.add("X-Forwarded-Proto", "https");
  request.fields.add("Forwarded", "proto=https");
  request.fields.set("X-Request-Id", request_id);
  if (request.fields.all().size() > limits::kHeaderFields) return Code::HEAD_TOO_LARGE;
  return std::nullopt;
}

void SealedPeer::on_stream(mux::StreamHandle stream) {
  if (draining_) {
    driver_->mux().reset(stream);
    return;
  }
  streams_.add(std::make_unique<StreamIntake>(*this, stream));
}

void SealedPeer::retire(Stream& stream) {
  if (!streams_.remove(stream)) return;
  stream.detach();
  if (draining_ && state_ == State::session) drain();
}

void SealedPeer::replace(Stream& from, std::unique_ptr<Stream> to) {
  streams_.replace(from, std::move(to));
}

// --- the end ---

void SealedPeer::on_ended(const Error& why) {
  log::write(log::Level::info, "sealed.ended", why, {{"peer", peer_}});
  over();
}

void SealedPeer::give_up(const Error& why) {
  if (state_ == State::over) return;
  log::write(why.code == Code::TAMPERED ? log::Level::warn : log::Level::info, "sealed.refused",
             why, {{"peer", peer_}, {"tunnel", tunnel_}});
  over();
}

// However it went.
void SealedPeer::finish_handshake() {
  deadline_.disarm();
  if (!std::exchange(shaking_, false)) return;
  // It named a pairing, and then could not show that it knows the secret.
  if (pairing_.empty() || device_ || owner_.carrier_gone()) return;
  gate_.failed_try(pairing_, ephemeral_);
}

void SealedPeer::over() {
  if (state_ == State::over) return;
  state_ = State::over;
  finish_handshake();
  owner_.on_peer_end(*this);
}

}  // namespace leat::agent
