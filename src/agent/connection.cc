#include "agent/connection.h"

#include <array>
#include <utility>

#include "agent/stream_intake.h"
#include "base/limits.h"
#include "net/websocket_transport.h"

namespace leat::agent {

Connection::Connection(net::Shard& shard, const Relay& relay, control::Client client, Owner& owner)
    : shard_(shard),
      relay_(relay),
      owner_(owner),
      deadline_(shard,
                [this] {
                  lost({Code::TIMEOUT, "the relay did not complete the handshake"});
                }),
      control_(std::move(client), *this),
      streams_(shard) {}

Connection::~Connection() {
  if (transport_) transport_->set_owner(nullptr);
}

// --- until there is a session ---

void Connection::start() {
  auto done = [this](Result<net::Fd> fd) { on_dialled(std::move(fd)); };
  dial_ = relay_.proxy
              ? net::Dial::start_through(shard_, *relay_.proxy, relay_.address,
                                         limits::kDialTimeout, std::move(done))
              : net::Dial::start(shard_, relay_.address, limits::kDialTimeout, std::move(done));
}

void Connection::on_dialled(Result<net::Fd> fd) {
  shard_.dispose(std::move(dial_));
  if (!fd) {
    const bool by_proxy = fd.error().code == Code::PROXY_REFUSED;
    return lost({by_proxy ? Code::PROXY_REFUSED : Code::RELAY_UNREACHABLE, fd.error().detail});
  }
  transport_ = relay_.tls != nullptr ? net::make_tls_transport(shard_, fd->release(), *relay_.tls,
                                                               relay_.address.host)
                                     : net::make_plain_transport(shard_, fd->release());
  if (!transport_) return lost({Code::RELAY_UNREACHABLE, "out of descriptors or memory"});
  deadline_.arm_in(limits::kLinkHandshake);
  transport_->set_owner(this);
  on_transport();
}

void Connection::on_transport() {
  if (lost_ || driver_) return;
  if (transport_->established() && !upgrade_ && !handshake_ && !begin()) return;
  send_early({});
  std::array<std::uint8_t, 4096> buffer;
  while (!lost_ && !driver_) {
    const net::IoResult result = transport_->read(buffer);
    switch (result.status) {
      case net::IoStatus::ok:
        if (handshake_) {
          shake_hands(Bytes(buffer).first(result.n));
        } else {
          upgrade(Bytes(buffer).first(result.n));
        }
        break;
      case net::IoStatus::would_block:
        return;
      case net::IoStatus::end:
        return lost({Code::CARRIER_CUT, "the relay closed the connection"});
      case net::IoStatus::failed:
        return lost(transport_->error());
    }
  }
}

bool Connection::begin() {
  verified_ = transport_->secure();
  if (relay_.websocket) {
    upgrade_.emplace(relay_.address, relay_.tls != nullptr, "/agent", net::kCarrierSubprotocol);
    send_early(upgrade_->request());
    return !lost_;
  }
  if (transport_->alpn() != net::kAlpnLeat) {
    lost({Code::ALPN_REFUSED, relay_.address.text()});
    return false;
  }
  handshake_.emplace(relay_.identity, transport_->channel_binding(), std::nullopt, 0);
  return true;
}

void Connection::send_early(std::string_view text) {
  early_ += text;
  if (early_.empty()) return;
  const net::IoResult sent = transport_->write(as_bytes(early_));
  if (sent.status == net::IoStatus::failed) return lost(transport_->error());
  early_.erase(0, sent.n);
  transport_->flush();
}

void Connection::upgrade(Bytes received) {
  std::size_t used = 0;
  switch (upgrade_->feed(received, used)) {
    case net::ClientUpgrade::State::more:
      return;
    case net::ClientUpgrade::State::failed:
      return lost({Code::UPGRADE_REFUSED, relay_.address.text() + ": " + upgrade_->why()});
    case net::ClientUpgrade::State::done:
      break;
  }
  transport_ = net::make_websocket_transport(shard_, std::move(transport_), http::ws::Role::client,
                                             std::string(as_chars(received.subspan(used))));
  transport_->set_owner(this);
  handshake_.emplace(relay_.identity, transport_->channel_binding(), std::nullopt, 0);
}

void Connection::shake_hands(Bytes received) {
  std::size_t used = 0;
  const auto state = handshake_->feed(received, used);
  send_early(handshake_->take_output());
  if (lost_) return;
  if (state == net::ClientHandshake::State::error) return lost(handshake_->error());
  if (state == net::ClientHandshake::State::opened) begin_session(received.subspan(used));
}

void Connection::begin_session(Bytes surplus) {
  deadline_.disarm();
  net::SessionDriver::Owner& owner = *this;
  driver_ = std::make_unique<net::SessionDriver>(shard_, mux::Config::native(mux::Role::client),
                                                 owner, std::move(transport_), net::Framing::chunks,
                                                 relay_.govern);
  control_.start(driver_->mux(), shard_.now());
  driver_->start(surplus);
}

// --- the session ---

void Connection::on_stream(mux::StreamHandle stream) {
  streams_.add(std::make_unique<StreamIntake>(*this, stream));
}

void Connection::retire(Stream& stream) {
  if (!streams_.remove(stream)) return;
  stream.detach();
}

void Connection::replace(Stream& from, std::unique_ptr<Stream> to) {
  streams_.replace(from, std::move(to));
}

void Connection::bind(std::size_t index, const control::TunnelRequest& tunnel) {
  if (driver_ && !lost_) control_.bind(index, tunnel);
}

void Connection::unbind(const std::string& tunnel) {
  if (driver_ && !lost_) control_.unbind(tunnel);
}

void Connection::report_health(const std::string& tunnel, const Error* failure) {
  if (driver_ && !lost_) control_.report_health(tunnel, failure);
}

void Connection::leave() {
  if (driver_ && !lost_) control_.leave();
}

void Connection::close(Code code, std::string_view text) {
  if (!driver_) return lost({code, std::string(text)});
  driver_->close(code, text);
}

// The relay closes with the same reason; the agent closes too, and does not wait for it.
void Connection::on_control_failed(const Error& why) {
  failure_ = why;
  driver_->close(why.code, why.detail);
}

void Connection::on_ended(const Error& why) { lost(failure_.value_or(why)); }

void Connection::lost(const Error& why) {
  if (std::exchange(lost_, true)) return;
  deadline_.disarm();
  owner_.on_lost(why);
}

}  // namespace leat::agent
