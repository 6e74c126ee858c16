#include "agent/fake_relay.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "proto/control.pb.h"

namespace leat::agent {

// --- Visit ---

Visit::Visit(net::Loop& loop, net::SessionDriver& driver, const std::string& tunnel,
             control::TunnelKind kind, std::string visitor_host, const std::string& visitor)
    : loop_(loop), driver_(driver), reader_(limits::kOpenStreamMessage) {
  proto::OpenStream open;
  open.set_tunnel(tunnel);
  open.set_kind(static_cast<proto::Kind>(static_cast<int>(kind) + 1));
  open.set_visitor(visitor);
  open.set_request_id("r1");
  open.set_visitor_host(std::move(visitor_host));
  control::append_message(open, to_send_);
  stream_ = *driver_.mux().open(loop_.shard.now());
  driver_.mux().attach(stream_, this, this);
}

Visit& Visit::send(std::string_view text) {
  to_send_ += text;
  driver_.mux().wake(stream_);
  return *this;
}

Visit& Visit::finish() {
  finished_ = true;
  driver_.mux().wake(stream_);
  return *this;
}

void Visit::reset() { driver_.mux().reset(stream_); }

void Visit::pause(bool paused) {
  paused_ = paused;
  if (!paused) driver_.mux().resume(stream_);
}

mux::Produced Visit::produce(MutableBytes out) {
  if (to_send_.empty()) return finished_ ? mux::Produced::end() : mux::Produced::not_ready();
  const std::size_t n = std::min(out.size(), to_send_.size());
  std::memcpy(out.data(), to_send_.data(), n);
  to_send_.erase(0, n);
  return mux::Produced::bytes(n);
}

std::size_t Visit::deliver(Bytes data) {
  if (paused_) return 0;
  std::size_t used = 0;
  if (!replied_) {
    const auto state = reader_.feed(data, used);
    if (state == control::MessageReader::State::more) return used;
    proto::OpenReply reply;
    EXPECT_EQ(state, control::MessageReader::State::done);
    EXPECT_TRUE(reader_.parse(reply));
    replied_ = true;
    if (reply.has_failure()) failure_ = reply.failure().code();
  }
  text_ += as_chars(data.subspan(used));
  loop_.poke();
  return data.size();
}

void Visit::end() {
  ended_ = true;
  loop_.poke();
}

void Visit::reset(mux::ResetReason) {
  reset_ = true;
  loop_.poke();
}

// --- RelaySession ---

RelaySession::RelaySession(FakeRelay& relay, std::unique_ptr<net::Transport> transport)
    : relay_(relay), transport_(std::move(transport)), part_(relay.loop().shard, [this] {
        const mux::Stats& stats = driver_->mux().stats();
        if (stats.streams <= 1 && stats.buffered == 0) return close(Code::DRAINING);
        part_.arm_in(std::chrono::milliseconds(1));
      }) {
  transport_->set_owner(this);
}

RelaySession::~RelaySession() {
  if (transport_) transport_->set_owner(nullptr);
}

void RelaySession::on_transport() {
  if (driver_ || ended_) return;
  if (transport_->established() && !handshake_) {
    handshake_.emplace(transport_->channel_binding());
    const std::string challenge = handshake_->take_output();
    transport_->write(as_bytes(challenge));
  }
  transport_->flush();
  std::array<std::uint8_t, 4096> buffer;
  const net::IoResult result = transport_->read(buffer);
  if (result.status == net::IoStatus::failed || result.status == net::IoStatus::end) {
    ended_ = Error{Code::CARRIER_CUT, "before there was a session"};
    return relay_.loop().poke();
  }
  if (result.status != net::IoStatus::ok) return;
  std::size_t used = 0;
  const auto state = handshake_->feed(Bytes(buffer).first(result.n), used);
  ASSERT_EQ(state, net::ServerHandshake::State::open) << "the open chunk comes in one record";
  identity_ = handshake_->request().identity;
  net::SessionId id;
  random_bytes(id);
  handshake_->accept(id, 0);
  transport_->write(as_bytes(handshake_->take_output()));
  transport_->flush();
  control::ServerEvents& events = *this;
  control_.emplace(events, identity_);
  net::SessionDriver::Owner& owner = *this;
  driver_ = std::make_unique<net::SessionDriver>(
      relay_.loop().shard, mux::Config::native(mux::Role::server), owner, std::move(transport_));
  driver_->start(Bytes(buffer).subspan(used, result.n - used));
}

void RelaySession::on_stream(mux::StreamHandle stream) {
  EXPECT_EQ(driver_->mux().id(stream), 1u);
  stream_ = stream;
  driver_->mux().attach(stream, this, this);
}

void RelaySession::on_ended(const Error& why) {
  ended_ = why;
  part_.disarm();
  relay_.loop().poke();
}

void RelaySession::on_hello(control::HelloInfo hello) {
  hello_ = std::move(hello);
  if (const auto refused = relay_.on_hello(hello_)) {
    control_->fail(*refused);
  } else {
    if (relay_.drains_at_once) drain(1);
    control_->welcome("s1", "test");
    welcomed_ = true;
  }
  relay_.loop().poke();
}

void RelaySession::on_bind(std::uint32_t request, const control::TunnelRequest& tunnel) {
  relay_.binds.push_back(tunnel);
  if (relay_.drains_at_once) {
    control_->refused(request, {Code::DRAINING, {}});
  } else if (const auto bound = relay_.on_bind(tunnel)) {
    control_->bound(request, *bound);
    ++bound_;
  } else {
    control_->refused(request, bound.error());
  }
  relay_.loop().poke();
}

void RelaySession::on_leave() {
  left_ = true;
  part_.arm_in(Duration(0));
  relay_.loop().poke();
}

void RelaySession::drain(std::uint32_t retry_after_ms) {
  control_->drain("restart", retry_after_ms, 30'000);
  wake();
}

void RelaySession::notice(const Error& error, const std::string& lost) {
  control_->notice(error, lost);
  wake();
}

void RelaySession::shared(const std::string& tunnel, std::uint32_t agents) {
  control_->shared(tunnel, agents);
  wake();
}

void RelaySession::on_unbind(const std::string& tunnel) {
  unbound.push_back(tunnel);
  relay_.loop().poke();
}

void RelaySession::on_health(const std::string& tunnel, const Error* failure) {
  health[tunnel] = failure != nullptr ? std::string(info(failure->code).name) : std::string();
  relay_.loop().poke();
}

void RelaySession::cut() { ::shutdown(driver_->carrier().fd(), SHUT_RDWR); }

mux::Produced RelaySession::produce(MutableBytes out) {
  if (out_.empty()) out_ = control_->take_output();
  if (out_.empty()) return mux::Produced::not_ready();
  const std::size_t n = std::min(out.size(), out_.size());
  std::memcpy(out.data(), out_.data(), n);
  out_.erase(0, n);
  return mux::Produced::bytes(n);
}

std::size_t RelaySession::deliver(Bytes data) {
  (void)control_->feed(data);
  wake();
  return data.size();
}

void RelaySession::wake() { driver_->mux().wake(stream_); }

// --- FakeRelay ---

FakeRelay::FakeRelay(net::Loop& loop) : loop_(loop), tls_(identity_.server()) {
  listen_again({"127.0.0.1", 0});
  on_hello = [](const control::HelloInfo& hello) -> std::optional<Error> {
    if (hello.credential.reveal() == kToken) return std::nullopt;
    return Error{Code::BAD_TOKEN, {}};
  };
  on_bind = [](const control::TunnelRequest& tunnel) -> Result<control::TunnelBound> {
    const std::string id = tunnel.id.empty() ? random_id() : tunnel.id;
    return control::TunnelBound{id, {"https://relay.test/tunnel/" + id + "/"}, tunnel.remote_port};
  };
}

void FakeRelay::listen_again(const HostPort& address) {
  listener_ = net::Listener::open(loop_.shard, address, [this](net::Fd fd) {
                accept(std::move(fd));
              }).value();
}

void FakeRelay::accept(net::Fd fd) {
  sessions.push_back(std::make_unique<RelaySession>(
      *this, net::make_tls_transport(loop_.shard, fd.release(), tls_, {})));
}

std::size_t FakeRelay::welcomed() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(sessions, [](const auto& session) { return session->welcomed(); }));
}

Visit& FakeRelay::open(const std::string& tunnel, control::TunnelKind kind,
                       std::string visitor_host, const std::string& visitor) {
  visits_.push_back(std::make_unique<Visit>(loop_, session().driver(), tunnel, kind,
                                            std::move(visitor_host), visitor));
  return *visits_.back();
}

}  // namespace leat::agent
