// A connection goes to and fro between two shards, each in a thread of its own, while its peer in a
// third one talks.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "net/tls_fixture.h"
#include "net/websocket_transport.h"

namespace leat::net {
namespace {

#ifdef LEAT_SANITIZED
constexpr std::size_t kSize = 1 << 19;
#else
constexpr std::size_t kSize = 1 << 22;
#endif
constexpr std::size_t kStay = 40'000;  // bytes, at most

struct Journey {
  std::array<Loop*, 2> loops;
  std::unique_ptr<Transport> transport;
  std::string to_send, received = {};
  std::size_t sent = 0;
  std::mt19937 random{7};
  unsigned moves = 0;
  bool ended = false, failed = false, finished = false;
  std::atomic<bool> over = false;
};

// The connection's life on one shard, from one move to the next.
class Stay final : private TransportOwner, private Deferred {
 public:
  static void begin(const std::shared_ptr<Journey>& journey) {
    auto stay = std::make_unique<Stay>(journey);
    Shard& shard = stay->loop_.shard;
    journey->transport->set_owner(stay.get());
    if (journey->moves > 0) {
      EXPECT_TRUE(journey->transport->join(shard));
    }
    shard.defer(*stay.release());
  }
  explicit Stay(std::shared_ptr<Journey> journey)
      : loop_(*journey->loops[journey->moves % 2]),
        journey_(std::move(journey)),
        left_(1 + journey_->random() % kStay) {}

 private:
  void on_transport() override { loop_.shard.defer(*this); }

  void on_deferred() override {
    Journey& j = *journey_;
    while (left_ > 0 && (read() || write())) {
    }
    const bool all = j.sent == j.to_send.size() && j.received.size() == kSize;
    if (!j.finished && all && j.transport->flush()) {
      j.transport->finish();
      j.finished = true;
    }
    j.over = j.failed || (j.ended && j.finished && j.transport->flush());
    if (!j.over && left_ > 0) return;
    if (!j.over) {
      EXPECT_TRUE(j.transport->leave());
      ++j.moves;
      Shard& other = j.loops[j.moves % 2]->shard;
      other.post([journey = std::move(journey_)] { begin(journey); });
    } else {
      loop_.shard.dispose(std::move(j.transport));
      for (Loop* loop : j.loops) loop->shard.post([loop] { loop->poke(); });
    }
    loop_.shard.dispose(std::unique_ptr<Stay>(this));
  }

  bool read() {
    Journey& j = *journey_;
    if (j.ended || j.failed) return false;
    std::vector<std::uint8_t> buffer(std::min<std::size_t>(left_, 1 + j.random() % kStay));
    const IoResult got = j.transport->read(buffer);
    j.ended = got.status == IoStatus::end;
    j.failed = got.status == IoStatus::failed;
    j.received += as_chars(Bytes(buffer).first(got.n));
    left_ -= got.n;
    return got.n > 0;
  }
  bool write() {
    Journey& j = *journey_;
    const std::size_t n = std::min({j.to_send.size() - j.sent, left_, std::size_t{30'000}});
    if (n == 0 || !j.transport->established()) return false;
    const IoResult put = j.transport->write(as_bytes(j.to_send).subspan(j.sent, n));
    j.sent += put.n;
    left_ -= put.n;
    return put.n > 0;
  }

  Loop& loop_;
  std::shared_ptr<Journey> journey_;
  std::size_t left_;  // bytes until it moves
};

class Move : public testing::Test {
 protected:
  using Make = std::function<std::unique_ptr<Transport>(Shard&, int fd)>;

  void travel(const Make& server, const Make& client) {
    TcpPair pair = tcp_pair();
    const std::string up = random_text(kSize, 3), down = random_text(kSize, 4);
    Loop here, there;
    auto journey = std::make_shared<Journey>();
    journey->loops = {&here, &there};
    journey->to_send = down;
    journey->transport = server(here.shard, pair.server.release());
    bool ended = false, over_there = false;
    std::string received;
    std::thread peer([&, fd = pair.client.release()] {
      Loop loop;
      Talker talker(loop, client(loop.shard, fd), 2);
      talker.send(up, false);
      ended = loop.run([&] { return talker.received.size() == kSize; });
      talker.send({}, true);  // a WebSocket has no half that is closed
      ended = ended && loop.run([&] { return talker.ended && talker.finished; });
      received = talker.received;
    });
    std::thread second([&] { over_there = there.run([&] { return journey->over.load(); }); });
    Stay::begin(journey);
    EXPECT_TRUE(here.run([&] { return journey->over.load(); }));
    second.join();
    peer.join();
    EXPECT_TRUE(over_there);
    EXPECT_TRUE(ended);
    EXPECT_FALSE(journey->failed);
    EXPECT_TRUE(journey->received == up);
    EXPECT_TRUE(received == down);
    EXPECT_GT(journey->moves, 2 * kSize / kStay);
  }

  Identity identity;
};

TEST_F(Move, OfTls) {
  const TlsContext server = identity.server(), client = identity.client();
  travel([&](Shard& shard, int fd) { return make_tls_transport(shard, fd, server, ""); },
         [&](Shard& shard, int fd) { return make_tls_transport(shard, fd, client, "relay.test"); });
}

TEST_F(Move, OfAPlainSocket) { travel(make_plain_transport, make_plain_transport); }

TEST_F(Move, OfAWebSocketInTls) {
  const TlsContext server = identity.server(), client = identity.client();
  travel(
      [&](Shard& shard, int fd) {
        return make_websocket_transport(shard, make_tls_transport(shard, fd, server, ""),
                                        http::ws::Role::server, {});
      },
      [&](Shard& shard, int fd) {
        return make_websocket_transport(shard, make_tls_transport(shard, fd, client, "relay.test"),
                                        http::ws::Role::client, {});
      });
}

TEST_F(Move, AnotherThreadMayDestroyIt) {
  TcpPair pair = tcp_pair();
  Loop loop;
  auto transport = make_tls_transport(loop.shard, pair.server.release(), identity.server(), "");
  ASSERT_TRUE(transport->leave());
  std::thread([moved = std::move(transport)] {}).join();
  char byte = 0;
  EXPECT_EQ(::recv(pair.client.get(), &byte, 1, MSG_DONTWAIT), 0);
}

}  // namespace
}  // namespace leat::net
