// The other end of a WebSocket carrier is a plain socket here, which can say what no transport of
// ours would.
#include "net/websocket_transport.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "net/tls_fixture.h"

namespace leat::net {
namespace {

using http::ws::Opcode;
using http::ws::Role;

constexpr http::ws::MaskKey kKey = {1, 2, 3, 4};

std::string frame(Opcode opcode, std::string_view payload, bool masked = true, bool fin = true) {
  std::string out;
  http::ws::append_frame(out, opcode, as_bytes(payload), masked ? &kKey : nullptr, fin);
  return out;
}

class WebSocketTransportTest : public ::testing::Test {
 protected:
  void start(Role role, std::string surplus = {}) {
    TcpPair pair = tcp_pair();
    peer =
        std::make_unique<Talker>(loop, make_plain_transport(loop.shard, pair.client.release()), 1);
    ours = std::make_unique<Talker>(
        loop,
        make_websocket_transport(loop.shard,
                                 make_plain_transport(loop.shard, pair.server.release()), role,
                                 std::move(surplus)),
        2);
  }
  // What the peer has received, frame by frame.
  struct Frame {
    Opcode opcode;
    std::string payload;
    std::uint16_t code;
  };
  std::vector<Frame> frames(Role peer_role) {
    std::vector<Frame> out;
    http::ws::FrameReader reader(peer_role, 1 << 30);
    std::string bytes = peer->received;
    MutableBytes rest(reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size());
    for (;;) {
      std::size_t used = 0;
      const http::ws::Event event = reader.feed(rest, used);
      rest = rest.subspan(used);
      using Kind = http::ws::Event::Kind;
      if (event.kind == Kind::none) return out;
      const Opcode opcode = event.kind == Kind::close  ? Opcode::close
                            : event.kind == Kind::pong ? Opcode::pong
                            : event.kind == Kind::ping ? Opcode::ping
                                                       : event.opcode;
      EXPECT_NE(event.kind, Kind::error);
      out.push_back({opcode, std::string(as_chars(event.payload)), event.code});
      if (event.kind == Kind::close || event.kind == Kind::error) return out;
    }
  }

  Loop loop;
  std::unique_ptr<Talker> peer, ours;
};

TEST_F(WebSocketTransportTest, BytesBehindTheUpgradeComeFirst) {
  start(Role::server, frame(Opcode::binary, "early ").substr(0, 9));
  peer->send(frame(Opcode::binary, "early ").substr(9) + frame(Opcode::binary, "late"), false);
  ours->work();
  ASSERT_TRUE(loop.run([&] { return ours->received == "early late"; }));
}

TEST_F(WebSocketTransportTest, FragmentsAndEmptyMessagesAreBytesOnly) {
  start(Role::server);
  peer->send(frame(Opcode::binary, "a", true, false) + frame(Opcode::ping, "x") +
                 frame(Opcode::continuation, "", true, false) + frame(Opcode::continuation, "b") +
                 frame(Opcode::binary, "") + frame(Opcode::binary, "c"),
             false);
  ASSERT_TRUE(loop.run([&] { return ours->received == "abc" && !peer->received.empty(); }));
  const auto got = frames(Role::client);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].opcode, Opcode::pong);
  EXPECT_EQ(got[0].payload, "x");
}

TEST_F(WebSocketTransportTest, AClientMasksWithAFreshKey) {
  start(Role::client);
  constexpr std::size_t kFrames = 200, kSize = 14;  // more than it makes keys for at once
  std::set<std::string> keys;
  for (std::size_t n = 1; n <= kFrames; ++n) {
    ours->send("the same", false);
    ASSERT_TRUE(loop.run([&] { return peer->received.size() == n * kSize; }));
    keys.insert(peer->received.substr(peer->received.size() - kSize + 2, 4));
  }
  const auto got = frames(Role::server);
  ASSERT_EQ(got.size(), kFrames);
  for (const Frame& each : got) EXPECT_EQ(each.payload, "the same");
  EXPECT_GE(keys.size(), kFrames - 2);  // of so few hardly two are alike
}

TEST_F(WebSocketTransportTest, TextIsRefused) {
  start(Role::server);
  peer->send(frame(Opcode::text, "hello"), false);
  ASSERT_TRUE(loop.run([&] { return ours->failed && !peer->received.empty(); }));
  EXPECT_EQ(ours->transport->error().code, Code::PROTOCOL);
  EXPECT_EQ(frames(Role::client).at(0).code, http::ws::kUnsupported);
  EXPECT_EQ(ours->received, "");
}

TEST_F(WebSocketTransportTest, AFrameThatIsNotMaskedIsRefused) {
  start(Role::server);
  peer->send(frame(Opcode::binary, "good") + frame(Opcode::binary, "bad", false), false);
  ASSERT_TRUE(loop.run([&] { return ours->failed && !peer->received.empty(); }));
  EXPECT_EQ(ours->received, "good");
  EXPECT_EQ(frames(Role::client).at(0).code, http::ws::kProtocolError);
}

TEST_F(WebSocketTransportTest, ACloseIsAnsweredAndIsAnEnd) {
  start(Role::server);
  std::string close;
  http::ws::append_close(close, http::ws::kGoingAway, "bye", &kKey);
  peer->send(frame(Opcode::binary, "last") + close, false);
  ASSERT_TRUE(loop.run([&] { return ours->ended && !peer->received.empty(); }));
  EXPECT_EQ(ours->received, "last");
  EXPECT_EQ(frames(Role::client).at(0).code, http::ws::kGoingAway);
}

TEST_F(WebSocketTransportTest, ACloseMaySayWhy) {
  for (const auto& [reason, code] : {std::pair("LEAT_AGENT_BUSY", Code::AGENT_BUSY),
                                     std::pair("LEAT_QUOTA_DAY, resets in 60 s", Code::QUOTA_DAY),
                                     std::pair("LEAT_NO_SUCH_CODE", Code::CARRIER_CUT)}) {
    start(Role::server);
    std::string close;
    http::ws::append_close(close, 1013, reason, &kKey);
    peer->send(close, false);
    ASSERT_TRUE(loop.run([&] { return ours->ended; }));
    EXPECT_EQ(ours->transport->error().code, code) << reason;
  }
}

// Judged by its header, in fragments too; what came before has been passed on.
TEST_F(WebSocketTransportTest, AMessageIsOnlySoLarge) {
  start(Role::server);
  std::array<std::uint8_t, http::ws::kMaxHeader> header;
  const std::size_t n = http::ws::write_header(header, Opcode::continuation, true,
                                               limits::kWebSocketMessage - 3, &kKey);
  peer->send(
      frame(Opcode::binary, "some", true, false) + std::string(as_chars(Bytes(header).first(n))),
      false);
  ASSERT_TRUE(loop.run([&] { return ours->failed && !peer->received.empty(); }));
  EXPECT_EQ(ours->received, "some");
  EXPECT_EQ(frames(Role::client).at(0).code, http::ws::kTooBig);
}

TEST_F(WebSocketTransportTest, AnEndWithoutACloseIsACut) {
  start(Role::server);
  peer->send(frame(Opcode::binary, "last"), true);
  ASSERT_TRUE(loop.run([&] { return ours->failed; }));
  EXPECT_EQ(ours->received, "last");
  EXPECT_EQ(ours->transport->error().code, Code::CARRIER_CUT);
}

// One connection may not hold the others: a timer runs while it floods, and then it is refused.
TEST_F(WebSocketTransportTest, FramesThatCarryNothingAreAFlood) {
  start(Role::server);
  std::string empty;
  for (int i = 0; i < 400'000; ++i) empty += frame(Opcode::binary, "");
  peer->send(empty, false);
  int ticks = 0;
  Timer tick(loop.shard, [&] {
    ++ticks;
    tick.arm_in(std::chrono::milliseconds(1));
  });
  tick.arm_in(std::chrono::milliseconds(1));
  ASSERT_TRUE(loop.run([&] { return ours->failed; }));
  EXPECT_EQ(ours->transport->error().code, Code::PROTOCOL);
  EXPECT_GE(ticks, 2);
}

// A peer that pings and never reads: what waits for it stays small.
TEST_F(WebSocketTransportTest, PingsOfAPeerThatNeverReadsAreNotCollected) {
  start(Role::server);
  const int size = 100'000;  // given, so that the kernel does not let them grow
  ::setsockopt(ours->transport->fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  ::setsockopt(peer->transport->fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  peer->reading = false;
  std::string pings;
  for (int i = 0; i < 50'000; ++i) pings += frame(Opcode::ping, std::string(100, 'p'));
  peer->send(pings + frame(Opcode::binary, "done"), false);
  ASSERT_TRUE(loop.run([&] { return ours->received == "done"; }));
  peer->reading = true;
  peer->work();
  ours->send("and goes on", false);
  ASSERT_TRUE(loop.run([&] { return peer->received.ends_with("and goes on"); }));
  EXPECT_LT(peer->received.size(), pings.size() / 10);  // sockets' buffers and one answer
}

}  // namespace
}  // namespace leat::net
