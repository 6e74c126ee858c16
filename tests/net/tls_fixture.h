// Connected sockets, certificates and two ends of a transport that talk, for the tests of
// transports.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/transport.h"
#include "support/temp_dir.h"

namespace leat::net {

struct TcpPair {
  Fd client, server;
};
TcpPair tcp_pair();  // connected over loopback, non-blocking

// A self-signed certificate for "relay.test" and 127.0.0.1, and contexts that go with it.
struct Identity {
  Identity();
  std::string certificate() const { return dir / "cert.pem"; }
  std::string key() const { return dir / "key.pem"; }
  std::string pin() const;  // raw
  TlsContext server(std::vector<std::string> alpn = {kAlpnLeat, kAlpnHttp}) const;
  TlsContext client(std::vector<std::string> alpn = {kAlpnLeat}) const;  // pinned

  test::TempDir dir;
};

// One end: sends `to_send` in pieces of random size, then finishes if told to; collects what it
// receives.
class Talker final : public TransportOwner {
 public:
  Talker(Loop& loop, std::unique_ptr<Transport> transport, unsigned seed);
  ~Talker();

  void send(std::string text, bool then_finish);
  void on_transport() override;
  void work();

  Loop& loop;
  std::unique_ptr<Transport> transport;
  std::mt19937 random;
  std::string to_send;
  std::size_t sent = 0;
  bool finish_after = false, finished = false;
  bool reading = true;
  std::size_t read_at_most = 100'000;
  std::string received;
  bool ended = false, failed = false;
  int calls = 0;
};

std::string random_text(std::size_t size, unsigned seed);

}  // namespace leat::net
