#include "agent/origin.h"

#include <array>
#include <utility>

namespace leat::agent {

OriginConnection::OriginConnection(Origin& origin, std::unique_ptr<net::Transport> transport)
    : paused(origin.pause_new), origin_(origin), transport_(std::move(transport)) {
  transport_->set_owner(this);
}

void OriginConnection::send(std::string_view text) {
  to_send_ += text;
  flush();
}

void OriginConnection::resume() {
  paused = false;
  on_transport();
}

void OriginConnection::flush() {
  while (!to_send_.empty()) {
    const net::IoResult result = transport_->write(as_bytes(to_send_));
    if (result.status != net::IoStatus::ok) break;
    to_send_.erase(0, result.n);
  }
  transport_->flush();
}

void OriginConnection::on_transport() {
  flush();
  std::array<std::uint8_t, 16384> buffer;
  while (!paused && !gone()) {
    const net::IoResult result = transport_->read(buffer);
    if (result.status == net::IoStatus::would_block) break;
    ended = result.status == net::IoStatus::end;
    failed = result.status == net::IoStatus::failed;
    received += as_chars(Bytes(buffer).first(result.n));
  }
  if (!paused) origin_.handler(*this);
  origin_.loop.poke();
}

Origin::Origin(net::Loop& l, Handler h, const net::TlsContext* tls)
    : loop(l), handler(std::move(h)) {
  const auto accept = [this, tls](net::Fd fd) {
    auto transport = tls ? net::make_tls_transport(loop.shard, fd.release(), *tls, {})
                         : net::make_plain_transport(loop.shard, fd.release());
    connections.push_back(std::make_unique<OriginConnection>(*this, std::move(transport)));
    loop.poke();
  };
  listener_ = net::Listener::open(loop.shard, {"127.0.0.1", 0}, accept).value();
}

Origin::Handler on_head(std::function<void(OriginConnection&, const std::string& head)> answer) {
  return [answer = std::move(answer)](OriginConnection& connection) {
    for (;;) {
      const std::size_t end = connection.received.find("\r\n\r\n");
      if (end == std::string::npos) return;
      const std::string head = connection.received.substr(0, end + 4);
      connection.received.erase(0, end + 4);
      answer(connection, head);
    }
  };
}

}  // namespace leat::agent
