#include "net/transport.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <tuple>

#include "net/tls_fixture.h"
#include "net/websocket_transport.h"

namespace leat::net {
namespace {

#ifdef LEAT_SANITIZED
constexpr std::size_t kBulk = 1 << 20;
#else
constexpr std::size_t kBulk = 8 << 20;
#endif

enum class Kind { plain, tls, websocket, secure_websocket };

// Every behaviour that all transports share.
class TransportTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override { connect(1); }

  static bool secure() { return GetParam() == Kind::tls || GetParam() == Kind::secure_websocket; }
  std::unique_ptr<Transport> wrap(std::unique_ptr<Transport> inner, http::ws::Role role) {
    if (GetParam() == Kind::plain || GetParam() == Kind::tls) return inner;
    return make_websocket_transport(loop.shard, std::move(inner), role, {});
  }
  void connect(unsigned seed) {
    TcpPair pair = tcp_pair();
    server_fd = pair.server.get();
    client_fd = pair.client.get();
    auto near = secure() ? make_tls_transport(loop.shard, pair.server.release(), server_context, "")
                         : make_plain_transport(loop.shard, pair.server.release());
    auto far = secure() ? make_tls_transport(loop.shard, pair.client.release(), client_context,
                                             "relay.test")
                        : make_plain_transport(loop.shard, pair.client.release());
    server = std::make_unique<Talker>(loop, wrap(std::move(near), http::ws::Role::server), seed);
    client = std::make_unique<Talker>(loop, wrap(std::move(far), http::ws::Role::client), seed + 1);
  }
  bool establish() {
    return loop.run(
        [&] { return server->transport->established() && client->transport->established(); });
  }

  Loop loop;
  Identity identity;
  TlsContext server_context = identity.server();
  TlsContext client_context = identity.client();
  int server_fd = -1, client_fd = -1;
  std::unique_ptr<Talker> server, client;
};
// Those of transports whose directions end one by one. A WebSocket closes both at once.
class HalfCloseTest : public TransportTest {};

std::string name_of(const ::testing::TestParamInfo<Kind>& info) {
  constexpr const char* kNames[] = {"Plain", "Tls", "WebSocket", "SecureWebSocket"};
  return kNames[static_cast<int>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Carriers, TransportTest,
                         ::testing::Values(Kind::plain, Kind::tls, Kind::websocket,
                                           Kind::secure_websocket),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Carriers, HalfCloseTest, ::testing::Values(Kind::plain, Kind::tls),
                         name_of);

TEST_P(TransportTest, MegabytesBothWaysThenAnEnd) {
  const std::string up = random_text(kBulk, 3), down = random_text(kBulk, 4);
  client->send(up, false);
  server->send(down, false);
  ASSERT_TRUE(loop.run([&] {
    return server->received.size() == up.size() && client->received.size() == down.size();
  }));
  EXPECT_TRUE(server->received == up);
  EXPECT_TRUE(client->received == down);
  client->send("and the last", true);
  ASSERT_TRUE(loop.run([&] { return server->ended; }));
  EXPECT_TRUE(server->received.ends_with("and the last"));
  EXPECT_FALSE(server->failed || client->failed);
  EXPECT_EQ(server->transport->secure(), secure());
}

TEST_P(HalfCloseTest, MegabytesBothWaysInPiecesOfAnySize) {
  const std::string up = random_text(kBulk, 3), down = random_text(kBulk, 4);
  client->send(up, true);
  server->send(down, true);
  ASSERT_TRUE(loop.run([&] { return server->ended && client->ended; }));
  EXPECT_TRUE(server->received == up);
  EXPECT_TRUE(client->received == down);
  EXPECT_FALSE(server->failed || client->failed);
  EXPECT_EQ(server->transport->secure(), secure());
}

TEST_P(HalfCloseTest, LeavesTheOtherDirectionOpen) {
  client->send("question", true);
  ASSERT_TRUE(loop.run([&] { return server->ended; }));
  EXPECT_EQ(server->received, "question");
  EXPECT_FALSE(client->ended);
  const std::string answer = random_text(300'000, 9);
  server->send(answer, true);
  ASSERT_TRUE(loop.run([&] { return client->ended; }));
  EXPECT_TRUE(client->received == answer);
}

TEST_P(TransportTest, AbortIsAFailureForThePeer) {
  ASSERT_TRUE(establish());
  server->transport->abort();
  EXPECT_EQ(server->transport->fd(), -1);
  ASSERT_TRUE(loop.run([&] { return client->failed || client->ended; }));
  EXPECT_TRUE(client->failed);
  EXPECT_EQ(client->transport->error().code, Code::CARRIER_CUT);
  std::uint8_t byte = 0;
  EXPECT_EQ(server->transport->read({&byte, 1}).status, IoStatus::failed);
  EXPECT_EQ(server->transport->write({&byte, 1}).status, IoStatus::failed);
  EXPECT_TRUE(server->transport->flush());
}

TEST_P(TransportTest, DestroyedWithoutFinishIsAFailureForThePeer) {
  ASSERT_TRUE(establish());
  const std::string last = "the last words";
  server->send(last, false);
  ASSERT_TRUE(loop.run([&] { return client->received == last; }));
  server.reset();
  ASSERT_TRUE(loop.run([&] { return client->failed || client->ended; }));
  EXPECT_TRUE(client->failed);
}

// recv shows an end after a send has met the reset and taken the error with it.
TEST_P(TransportTest, AResetMetByWritingIsNotReadAsAnEnd) {
  ASSERT_TRUE(establish());
  server->reading = false;
  client->transport->abort();
  const int before = server->calls;
  ASSERT_TRUE(loop.run([&] { return server->calls > before; }));
  const std::string text(1 << 20, 'x');
  IoStatus status = IoStatus::ok;
  for (int i = 0; i < 3 && status != IoStatus::failed; ++i) {
    status = server->transport->write(as_bytes(text)).status;
  }
  EXPECT_EQ(status, IoStatus::failed);
  std::uint8_t byte = 0;
  EXPECT_EQ(server->transport->read({&byte, 1}).status, IoStatus::failed);
  EXPECT_EQ(server->transport->error().code, Code::CARRIER_CUT);
}

TEST_P(TransportTest, TinySendBuffersAndTinyReads) {
  ASSERT_TRUE(establish());
  const int tiny = 4096;
  for (const int fd : {server_fd, client_fd}) {
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &tiny, sizeof tiny);
  }
  server->read_at_most = 50;
  client->read_at_most = 5000;
  const std::string up = random_text(kBulk / 16, 3), down = random_text(kBulk / 16, 4);
  client->send(up, false);
  server->send(down, false);
  ASSERT_TRUE(loop.run([&] {
    return server->received.size() == up.size() && client->received.size() == down.size();
  }));
  EXPECT_TRUE(server->received == up);
  EXPECT_TRUE(client->received == down);
}

// Backpressure: what nobody reads stops the sender without a busy loop, and reading lets it go on.
TEST_P(TransportTest, APausedReaderPausesTheWriterAndIsNotToldAgain) {
  ASSERT_TRUE(establish());
  const int size = 100'000;  // given, so that the kernel does not let them grow
  ::setsockopt(client_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  ::setsockopt(server_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  server->reading = false;
  const std::string text = random_text(kBulk, 5);
  client->send(text, true);
  const auto turns = [this](int n) {
    for (; n > 0; --n) {
      loop.shard.post([this] { loop.shard.stop(); });
      loop.shard.run();
    }
  };
  turns(1000);
  EXPECT_GT(client->sent, 0u);
  EXPECT_LT(client->sent, text.size());
  const int calls = server->calls + client->calls;
  turns(1000);
  EXPECT_EQ(server->calls + client->calls, calls);
  server->reading = true;
  server->work();
  ASSERT_TRUE(loop.run([&] { return server->ended; }));
  EXPECT_TRUE(server->received == text);
}

TEST_P(TransportTest, NamesThePeer) {
  ASSERT_TRUE(establish());
  EXPECT_EQ(server->transport->peer_host(), "127.0.0.1");
  EXPECT_EQ(server->transport->peer().rfind("127.0.0.1:", 0), 0u);
  EXPECT_EQ(server->transport->fd(), server_fd);
}

}  // namespace
}  // namespace leat::net
