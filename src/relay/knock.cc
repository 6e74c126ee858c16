#include "relay/knock.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "http/proxy_protocol.h"
#include "http/sni.h"
#include "net/socket_address.h"

namespace leat::relay {

// False: the address has as many that wait as one may.
bool Knock::counted(Context& context, std::optional<Counted>& waiting, const std::string& address,
                    Door door) {
  if (door == Door::tcp) return true;  // it has nothing to say first
  const bool tls = door == Door::tls;
  // A proxy that ends TLS for many has their requests in its own name.
  if (!tls && contains(context.options.trusted_proxies, address)) return true;
  Crowd& crowd = tls ? context.common.waiting : context.common.plain_waiting;
  const std::string key = net::network_of(address);
  if (crowd.of(key) >= limits::kHandshakesOfAddress) return false;
  waiting.emplace(crowd, key);
  return true;
}

bool Knock::wait_again(Context& context, std::optional<Counted>& waiting,
                       const std::string& address, Door door) {
  const bool full = context.common.waiting.size() >= limits::kHandshakes;
  return !(door == Door::tls && full) && counted(context, waiting, address, door);
}

void Knock::start(Context& context, net::Fd socket, Door door, OnOpen on_open) {
  const bool tls = door == Door::tls;
  if (tls && context.common.waiting.size() >= limits::kHandshakes) return;  // the descriptor closes
  Guest guest;
  const std::string peer = net::SocketAddress::peer(socket.get()).host_port().host;
  const bool header = contains(context.options.proxy_protocol, peer);
  guest.socket = std::move(socket);
  if (tls) guest.waiting.emplace(context.common.waiting);  // of a proxy that has to say for whom
  if (!header && !counted(context, guest.waiting, peer, door)) return;
  if (!header && !tls) return on_open(std::move(guest));
  guest.deadline = context.shard.now() + limits::kHandshakeTimeout;
  Knock& knock = context.knocks.add(std::unique_ptr<Knock>(
      new Knock(context, std::move(guest), header, door, std::move(on_open))));
  if (!context.shard.watch(knock.guest_.socket.get(), knock)) knock.give_up("out of memory");
}

Knock::Knock(Context& context, Guest guest, bool header, Door door, OnOpen on_open)
    : context_(context),
      guest_(std::move(guest)),
      door_(door),
      header_(header),
      on_open_(std::move(on_open)),
      timer_(context.shard, [this] { give_up("nothing came in time"); }) {
  timer_.arm(guest_.deadline);
}

Knock::~Knock() { context_.shard.unwatch(*this); }

void Knock::on_ready() {
  if (over_) return;
  switch (look()) {
    case Look::more:
      if (hung_up()) return give_up("it ended");
      clear_readable();  // more brings another edge
      return;
    case Look::bad:
      return give_up("no PROXY header where one must be, or one of somebody who has too many");
    case Look::done:
      break;
  }
  over_ = true;
  timer_.disarm();
  context_.shard.unwatch(*this);
  on_open_(std::move(guest_));
  context_.knocks.release(*this);
}

Knock::Look Knock::look() {
  int available = 0;
  ::ioctl(guest_.socket.get(), FIONREAD, &available);
  if (!broken() && static_cast<std::size_t>(available) < wanted_) return Look::more;
  std::array<std::uint8_t, 2 * limits::kClientHello> buffer;
  for (;;) {
    const ssize_t n = ::recv(guest_.socket.get(), buffer.data(), buffer.size(), MSG_PEEK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN ? Look::more : Look::done;  // what follows meets it again
    const Bytes received = Bytes(buffer).first(static_cast<std::size_t>(n));
    if (!header_) return look_at_hello(received);
    const Look seen = look_at_header(received);
    if (seen != Look::done || door_ != Door::tls) return seen;
  }
}

Knock::Look Knock::look_at_header(Bytes received) {
  const http::ProxyHeader header = http::read_proxy_header(received);
  if (header.state == http::ProxyHeader::State::more) return Look::more;
  if (header.state == http::ProxyHeader::State::error) return Look::bad;
  std::array<std::uint8_t, limits::kProxyHeader> taken;
  ::recv(guest_.socket.get(), taken.data(), header.size, 0);  // it is there: all of it comes
  guest_.visitor = header.source;
  header_ = false;
  wanted_ = 1;
  if (header.source && !counted(context_, guest_.waiting, header.source->host, door_))
    return Look::bad;
  return Look::done;
}

// Read from the beginning each time: what a slow peer has sent is held by nobody but the kernel. As
// it is looked at only when the message may be whole, however it is cut into segments and records,
// that is a few times.
Knock::Look Knock::look_at_hello(Bytes received) {
  http::ClientHelloReader reader;
  const auto state = reader.feed(received);
  if (state == http::ClientHelloReader::State::done) {
    guest_.server_name = reader.hello().server_name;
    return Look::done;
  }
  // What is no ClientHello libssl finds the words for.
  wanted_ = received.size() + reader.missing();
  const bool more = state == http::ClientHelloReader::State::more;
  return more && wanted_ <= 2 * limits::kClientHello ? Look::more : Look::done;
}

void Knock::give_up(const char* why) {
  if (over_) return;
  over_ = true;
  log::debug(
      "knock failed",
      {{"peer", net::SocketAddress::peer(guest_.socket.get()).host_port().text()}, {"why", why}});
  context_.knocks.release(*this);
}

}  // namespace leat::relay
