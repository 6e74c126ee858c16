#include "relay/fake_agent.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/limits.h"
#include "proto/control.pb.h"

namespace leat::relay {

// --- Served ---

Served::Served(FakeAgent& agent, mux::StreamHandle stream)
    : agent_(agent), stream_(stream), reader_(limits::kOpenStreamMessage) {
  agent_.driver().mux().attach(stream_, this, this);
}

Served& Served::send(std::string_view text) {
  to_send_ += text;
  agent_.driver().mux().wake(stream_);
  return *this;
}

Served& Served::finish() {
  finished_ = true;
  agent_.driver().mux().wake(stream_);
  return *this;
}

void Served::cut() { agent_.driver().mux().reset(stream_); }

void Served::stop_reading() { agent_.driver().mux().detach(stream_); }

mux::Produced Served::produce(MutableBytes out) {
  if (unsent() == 0) return finished_ ? mux::Produced::end() : mux::Produced::not_ready();
  const std::size_t n = std::min(out.size(), unsent());
  std::memcpy(out.data(), to_send_.data() + sent_, n);
  sent_ += n;
  return mux::Produced::bytes(n);
}

std::size_t Served::deliver(Bytes data) {
  std::size_t used = 0;
  if (!opened_) {
    if (reader_.feed(data, used) == control::MessageReader::State::more) return used;
    proto::OpenStream open;
    EXPECT_TRUE(reader_.parse(open));
    tunnel_ = open.tunnel();
    visitor_ = open.visitor();
    opened_ = true;
  }
  text_ += as_chars(data.subspan(used));
  if (agent_.on_served) agent_.on_served(*this);
  agent_.loop().poke();
  return data.size();
}

void Served::end() {
  ended_ = true;
  agent_.loop().poke();
}

void Served::reset(mux::ResetReason) {
  reset_ = true;
  agent_.loop().poke();
}

// --- FakeAgent ---

FakeAgent::FakeAgent(net::Loop& loop, Settings settings)
    : loop_(loop),
      tls_(settings.tls),
      identity_(settings.identity),
      host_(settings.relay.host),
      greets_(settings.greets),
      tunnels_(settings.tunnels.size()),
      client_(*this, settings.identity.public_key(), settings.token, "test",
              std::move(settings.tunnels)) {
  dial_ = net::Dial::start(
      loop_.shard, settings.relay, std::chrono::seconds(10), [this](Result<net::Fd> fd) {
        loop_.shard.dispose(std::move(dial_));
        if (!fd) return lost(fd.error());
        transport_ = net::make_tls_transport(loop_.shard, fd->release(), tls_, host_);
        transport_->set_owner(this);
        on_transport();
      });
}

FakeAgent::~FakeAgent() {
  if (transport_) transport_->set_owner(nullptr);
}

void FakeAgent::on_transport() {
  if (driver_ || ended_) return;
  if (transport_->established() && !handshake_) {
    handshake_.emplace(identity_, transport_->channel_binding(), std::nullopt, 0);
  }
  std::array<std::uint8_t, 4096> buffer;
  for (;;) {
    const net::IoResult result = transport_->read(buffer);
    if (result.status == net::IoStatus::would_block) return;
    if (result.status != net::IoStatus::ok) return lost({Code::CARRIER_CUT, "before the session"});
    if (!handshake_) handshake_.emplace(identity_, transport_->channel_binding(), std::nullopt, 0);
    std::size_t used = 0;
    const Bytes received = Bytes(buffer).first(result.n);
    const auto state = handshake_->feed(received, used);
    transport_->write(as_bytes(handshake_->take_output()));
    transport_->flush();
    if (state == net::ClientHandshake::State::error) return lost(handshake_->error());
    if (state != net::ClientHandshake::State::opened) continue;
    net::SessionDriver::Owner& owner = *this;
    driver_ = std::make_unique<net::SessionDriver>(
        loop_.shard, mux::Config::native(mux::Role::client), owner, std::move(transport_));
    if (greets_) {
      control_ = *driver_->mux().open(loop_.shard.now());
      driver_->mux().attach(control_, this, this);
    }
    driver_->start(received.subspan(used));
    return loop_.poke();
  }
}

void FakeAgent::on_stream(mux::StreamHandle stream) {
  streams.push_back(std::make_unique<Served>(*this, stream));
}

void FakeAgent::on_ended(const Error& why) { lost(why); }

void FakeAgent::lost(const Error& why) {
  if (!ended_) ended_ = why;
  loop_.shard.dispose(std::move(driver_));
  loop_.poke();
}

void FakeAgent::on_bound(std::size_t index, const control::TunnelBound& tunnel) {
  ++answers_;
  bound_[index] = tunnel;
}

void FakeAgent::on_bind_failed(std::size_t index, const Error& error) {
  ++answers_;
  refused_.insert_or_assign(index, error);
}

void FakeAgent::say(std::string_view bytes) {
  out_ += client_.take_output();
  out_ += bytes;
  wake();
}

void FakeAgent::vanish() {
  ghost_ = net::Fd(::dup(driver_->carrier().fd()));  // keeps the connection, without a word
  driver_.reset();
}

mux::Produced FakeAgent::produce(MutableBytes out) {
  out_ += client_.take_output();
  if (out_.empty()) return mux::Produced::not_ready();
  const std::size_t n = std::min(out.size(), out_.size());
  std::memcpy(out.data(), out_.data(), n);
  out_.erase(0, n);
  return mux::Produced::bytes(n);
}

std::size_t FakeAgent::deliver(Bytes data) {
  if (!reads_control_) return 0;
  if (const auto fed = client_.feed(data); !fed && !ended_) ended_ = fed.error();
  if (client_.has_output()) wake();
  loop_.poke();
  return data.size();
}

}  // namespace leat::relay
