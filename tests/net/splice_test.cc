// A visitor's socket and a service's, joined by two sessions over a carrier:
//
//   visitor ══ near socket ─ splice ─ driver ══ carrier ══ driver ─ splice ─ far socket ══ service
//
// The two ends are sockets that the tests read and write themselves.
#include "net/splice.h"

#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <memory>
#include <string>

#include "net/session_driver.h"
#include "net/tls_fixture.h"

namespace leat::net {
namespace {

#ifdef LEAT_SANITIZED
constexpr std::size_t kBulk = 2 << 20;
#else
constexpr std::size_t kBulk = 32 << 20;
#endif

class SpliceTest : public ::testing::TestWithParam<Framing> {
 protected:
  // One end of the carrier and what it joins the stream to.
  struct End final : SessionDriver::Owner, Splice::Owner {
    End(SpliceTest& owner, mux::Role role, Fd carrier)
        : test(owner),
          driver(owner.loop.shard,
                 GetParam() == Framing::bare ? mux::Config::bare(role) : mux::Config::native(role),
                 *this, make_plain_transport(owner.loop.shard, carrier.release()), GetParam()) {}

    void join(mux::StreamHandle stream, Fd local) {
      splice = std::make_unique<Splice>(
          driver, stream, make_plain_transport(test.loop.shard, local.release()), "", *this);
      splice->start();
    }
    void on_stream(mux::StreamHandle stream) override { join(stream, std::move(waiting)); }
    void on_ended(const Error& why) override {
      EXPECT_TRUE(closed) << why.detail;
      over = true;
      test.loop.poke();
    }
    void on_splice_end(Splice&, bool was_clean) override {
      ended = true;
      clean = was_clean;
      sent = splice->bytes_sent();
      test.loop.shard.dispose(std::move(splice));
      test.loop.poke();
    }

    SpliceTest& test;
    SessionDriver driver;
    Fd waiting;
    std::unique_ptr<Splice> splice;
    bool ended = false, clean = false;  // the splice
    std::uint64_t sent = 0;             // … into the stream, when it ended
    bool closed = false, over = false;  // the session: expected, and happened
  };

  void SetUp() override {
    TcpPair carrier = tcp_pair(), visit = tcp_pair(), service_side = tcp_pair();
    near = std::make_unique<End>(*this, mux::Role::server, std::move(carrier.server));
    far = std::make_unique<End>(*this, mux::Role::client, std::move(carrier.client));
    far->waiting = std::move(service_side.client);
    near->driver.start({});
    far->driver.start({});
    visitor =
        std::make_unique<Talker>(loop, make_plain_transport(loop.shard, visit.client.release()), 1);
    service = std::make_unique<Talker>(
        loop, make_plain_transport(loop.shard, service_side.server.release()), 2);
    const auto stream = near->driver.mux().open(loop.shard.now());
    ASSERT_TRUE(stream.has_value());
    near->join(*stream, std::move(visit.server));
  }

  bool both_ended() const { return near->ended && far->ended; }

  Loop loop;
  std::unique_ptr<End> near, far;
  std::unique_ptr<Talker> visitor, service;
};

INSTANTIATE_TEST_SUITE_P(Framings, SpliceTest, ::testing::Values(Framing::chunks, Framing::bare),
                         [](const auto& param) {
                           return param.param == Framing::bare ? "Bare" : "Chunks";
                         });

TEST_P(SpliceTest, MegabytesBothWaysAndAnEndOfEach) {
  const std::string up = random_text(kBulk, 3), down = random_text(kBulk, 4);
  visitor->send(up, true);
  service->send(down, true);
  ASSERT_TRUE(loop.run([&] { return visitor->ended && service->ended && both_ended(); }));
  EXPECT_TRUE(service->received == up);
  EXPECT_TRUE(visitor->received == down);
  EXPECT_TRUE(near->clean && far->clean);
}

TEST_P(SpliceTest, HalfClosePassesAndTheOtherDirectionGoesOn) {
  visitor->send("question", true);
  ASSERT_TRUE(loop.run([&] { return service->ended; }));
  EXPECT_EQ(service->received, "question");
  EXPECT_FALSE(visitor->ended);
  service->send("answer", true);
  ASSERT_TRUE(loop.run([&] { return visitor->ended && both_ended(); }));
  EXPECT_EQ(visitor->received, "answer");
}

// What is large goes out in whole segments, the last of which the kernel keeps back for up to 200
// ms if nobody asks for it: then a hundred messages of a segment and a bit would take 20 s.
TEST_P(SpliceTest, TheRestOfALargeWriteIsNotKeptBack) {
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t round = 1; round <= 100; ++round) {
    const std::size_t size = 4096 + 977 * round;
    const std::size_t before = visitor->received.size();
    service->send(random_text(size, static_cast<unsigned>(round)), false);
    ASSERT_TRUE(loop.run([&] { return visitor->received.size() == before + size; }));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_P(SpliceTest, AResetOnOneSideIsAResetOnTheOther) {
  visitor->send("question", false);
  ASSERT_TRUE(loop.run([&] { return service->received == "question"; }));
  visitor->transport->abort();
  ASSERT_TRUE(loop.run([&] { return service->failed && both_ended(); }));
  EXPECT_FALSE(service->ended);
  EXPECT_FALSE(near->clean || far->clean);
}

// A service that refuses early answers, and closes with the rest of the request unread, which makes
// its kernel reset. Whoever speaks to it directly has the whole answer.
TEST_P(SpliceTest, WhatAPeerSaidBeforeItResetIsPassedOn) {
  const std::string answer = random_text(20'000, 7);
  service->reading = false;
  visitor->send("a request that nobody reads", false);
  Timer settle(loop.shard, [this] { loop.poke(); });
  settle.arm_in(std::chrono::milliseconds(20));
  ASSERT_TRUE(loop.run([&] { return !settle.armed(); }));
  service->send(answer, false);
  service.reset();
  ASSERT_TRUE(loop.run([&] { return both_ended(); }));
  visitor->work();
  EXPECT_TRUE(visitor->received == answer);
  EXPECT_TRUE(visitor->failed);
  EXPECT_FALSE(visitor->ended);
}

// The grace is for a visitor who takes nothing, not for one who takes it slowly.
TEST_P(SpliceTest, ASlowReaderGetsMoreOfItThanTheGraceIsLong) {
  using namespace std::chrono_literals;
  const int small = 1 << 17, large = 1 << 20;
  ::setsockopt(near->splice->transport().fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  ::setsockopt(visitor->transport->fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  ::setsockopt(far->waiting.get(), SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
  visitor->reading = service->reading = false;
  visitor->send("a request that nobody reads", false);
  service->send(random_text(16 << 20, 7), false);
  const auto unread = [&] {
    int n = 0;
    ::ioctl(far->splice->transport().fd(), FIONREAD, &n);
    return static_cast<std::uint64_t>(n);
  };
  std::uint64_t promised = 0;
  Timer look(loop.shard, [this] { loop.poke(); });
  ASSERT_TRUE(loop.run([&] {  // no byte moved for a while
    if (look.armed() || !far->splice) return false;
    const std::uint64_t before = std::exchange(promised, far->splice->bytes_sent() + unread());
    if (promised > 0 && promised == before) return true;
    look.arm_in(200ms);
    return false;
  }));
  ASSERT_GT(unread(), std::uint64_t{limits::kInitialWindow});
  service.reset();
  for (const Duration pause :
       {Duration(limits::kStalled) / 2, Duration(limits::kStalled) * 3 / 5}) {
    look.arm_in(pause);
    ASSERT_TRUE(loop.run([&] { return !look.armed(); }));
    ASSERT_FALSE(far->ended) << "after " << far->sent << " of " << promised;
    const std::uint64_t before = far->splice->bytes_sent();
    visitor->reading = true;
    visitor->work();
    ASSERT_TRUE(loop.run([&] { return far->ended || far->splice->bytes_sent() > before; }));
    visitor->reading = false;
  }
  if (near->splice) {  // unless that was all of it
    ::setsockopt(near->splice->transport().fd(), SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
  }
  ::setsockopt(visitor->transport->fd(), SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
  visitor->reading = true;
  visitor->work();
  ASSERT_TRUE(loop.run([&] { return both_ended(); }));
  EXPECT_GE(far->sent, promised);  // more may have come before the reset
}

// Nobody reads from the visitor any more, and the service has nothing to send to it.
TEST_P(SpliceTest, AResetAfterItsEndIsNoticedWhileTheServiceIsSilent) {
  visitor->send("question", true);
  ASSERT_TRUE(loop.run([&] { return service->ended; }));
  visitor->transport->abort();
  ASSERT_TRUE(loop.run([&] { return service->transport->broken() && both_ended(); }));
  EXPECT_FALSE(near->clean || far->clean);
}

TEST_P(SpliceTest, AClosedSessionTellsItsPeer) {
  visitor->send("question", false);
  ASSERT_TRUE(loop.run([&] { return service->received == "question"; }));
  near->closed = far->closed = true;
  near->driver.close(Code::DRAINING, "enough");
  ASSERT_TRUE(loop.run([&] { return near->over && far->over && both_ended(); }));
  EXPECT_FALSE(near->clean || far->clean);
}

// The service takes nothing, so the stream has no window and the visitor is not read.
TEST_P(SpliceTest, AResetIsNoticedWhileTheServiceDoesNotRead) {
  service->reading = false;
  visitor->send(random_text(64 << 20, 5), false);
  std::size_t last = 0;
  Timer look(loop.shard, [&] { loop.poke(); });
  look.arm_in(std::chrono::milliseconds(200));
  ASSERT_TRUE(loop.run([&] {  // no byte moved for a while
    if (look.armed() || visitor->sent == 0) return false;
    if (visitor->sent == last) return true;
    last = visitor->sent;
    look.arm_in(std::chrono::milliseconds(200));
    return false;
  }));
  ASSERT_LT(visitor->sent, std::size_t{64} << 20);
  visitor->transport->abort();
  ASSERT_TRUE(loop.run([&] { return both_ended(); }));
  EXPECT_FALSE(near->clean || far->clean);
}

}  // namespace
}  // namespace leat::net
