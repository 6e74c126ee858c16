#include "relay/knock.h"

#include <arpa/inet.h>
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

namespace {

// Who has an IPv6 address has most often all of its /64 (RFC 6177).
std::string neighbours(const std::string& address) {
  std::array<std::uint8_t, 16> bytes;
  if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return address;
  return std::string(as_chars(Bytes(bytes).first(8)));
}

// False: the address has as many that wait as one may.
bool counted(Context& context, Knock::Guest& guest, const std::string& address) {
  const std::string key = neighbours(address);
  const auto found = context.waiting_of.find(key);
  if (found != context.waiting_of.end() && found->second >= limits::kHandshakesOfAddress) {
    return false;
  }
  guest.waiting.emplace(context.waiting, context.waiting_of, key);
  return true;
}

}  // namespace

void Knock::start(Context& context, net::Fd socket, bool tls, OnOpen on_open) {
  if (tls && context.waiting >= limits::kHandshakes) return;  // the descriptor closes
  Guest guest;
  const std::string peer = net::SocketAddress::peer(socket.get()).host_port().host;
  const bool header = contains(context.options.proxy_protocol, peer);
  guest.socket = std::move(socket);
  if (!header && !tls) return on_open(std::move(guest));
  if (tls) guest.waiting.emplace(context.waiting);  // of a proxy that has to say for whom
  if (tls && !header && !counted(context, guest, peer)) return;
  guest.deadline = context.shard.now() + limits::kHandshakeTimeout;
  Knock& knock = context.knocks.add(std::unique_ptr<Knock>(
      new Knock(context, std::move(guest), header, tls, std::move(on_open))));
  if (!context.shard.watch(knock.guest_.socket.get(), knock)) knock.give_up("out of memory");
}

Knock::Knock(Context& context, Guest guest, bool header, bool tls, OnOpen on_open)
    : context_(context),
      guest_(std::move(guest)),
      header_(header),
      tls_(tls),
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
  std::array<std::uint8_t, 2 * limits::kClientHello> buffer;
  for (;;) {
    const ssize_t n = ::recv(guest_.socket.get(), buffer.data(), buffer.size(), MSG_PEEK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN ? Look::more : Look::done;  // what follows meets it again
    const Bytes received = Bytes(buffer).first(static_cast<std::size_t>(n));
    if (!header_) return look_at_hello(received);
    const Look seen = look_at_header(received);
    if (seen != Look::done || !tls_) return seen;
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
  if (tls_ && header.source && !counted(context_, guest_, header.source->host)) return Look::bad;
  return Look::done;
}

// Read from the beginning each time: what a slow peer has sent is held by nobody but the kernel.
Knock::Look Knock::look_at_hello(Bytes received) {
  http::ClientHelloReader reader;
  const auto state = reader.feed(received);
  if (state == http::ClientHelloReader::State::done) {
    guest_.server_name = reader.hello().server_name;
    return Look::done;
  }
  // What is no ClientHello libssl finds the words for.
  const bool more = state == http::ClientHelloReader::State::more;
  return more && received.size() < 2 * limits::kClientHello ? Look::more : Look::done;
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
