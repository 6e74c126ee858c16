#include "net/tls_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace leat::net {

TcpPair tcp_pair() {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener.get(), generic, size), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), generic, &size), 0);
  TcpPair pair;
  pair.client = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(pair.client.get(), generic, size), 0);
  pair.server = Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const int on = 1;
  for (const Fd* fd : {&pair.client, &pair.server}) {
    ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
    ::setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return pair;
}

Identity::Identity() {
  EXPECT_TRUE(ensure_self_signed(certificate(), key(), {"relay.test", "127.0.0.1"}));
}

std::string Identity::pin() const {
  return parse_pin(certificate_pin(certificate()).value()).value();
}

TlsContext Identity::server(std::vector<std::string> alpn) const {
  return TlsContext::server(certificate(), key(), std::move(alpn)).value();
}

TlsContext Identity::client(std::vector<std::string> alpn) const {
  return TlsContext::client({.pin = pin(), .ca_file = {}}, std::move(alpn)).value();
}

Talker::Talker(Loop& l, std::unique_ptr<Transport> t, unsigned seed)
    : loop(l), transport(std::move(t)), random(seed) {
  EXPECT_NE(transport, nullptr);
  transport->set_owner(this);
}

Talker::~Talker() {
  if (transport) transport->set_owner(nullptr);
}

void Talker::send(std::string text, bool then_finish) {
  to_send += text;
  finish_after = then_finish;
  work();
}

void Talker::on_transport() {
  ++calls;
  work();
  loop.poke();
}

void Talker::work() {
  while (reading && !ended && !failed) {
    std::vector<std::uint8_t> buffer(1 + random() % read_at_most);
    const IoResult result = transport->read(buffer);
    if (result.status == IoStatus::would_block) break;
    ended = result.status == IoStatus::end;
    failed = result.status == IoStatus::failed;
    received += as_chars(Bytes(buffer).first(result.n));
  }
  if (failed || finished || !transport->established()) return;
  while (sent < to_send.size()) {
    const std::size_t n = std::min<std::size_t>(to_send.size() - sent, 1 + random() % 200'000);
    const IoResult result = transport->write(as_bytes(to_send).subspan(sent, n));
    if (result.status == IoStatus::failed) failed = true;
    if (result.status != IoStatus::ok) break;
    sent += result.n;
    if (random() % 3 == 0) transport->flush();
  }
  if (failed) return;
  const bool drained = transport->flush();
  if (drained && finish_after && sent == to_send.size()) {
    finished = true;
    transport->finish();
  }
}

std::string random_text(std::size_t size, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(size, '\0');
  for (auto& c : text) c = static_cast<char>(random());
  return text;
}

}  // namespace leat::net
