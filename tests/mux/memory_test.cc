// What the core asks of the allocator: nothing per frame once it has seen its peak, and little per
// idle stream.

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "mux/counting_new.h"
#include "mux/session.h"

namespace leat::mux {
namespace {

using namespace std::chrono_literals;
using leat::test::allocations;

constexpr std::uint64_t kWarm = 150'000;  // frames, until everything has been at its largest
#ifdef LEAT_SANITIZED
constexpr std::uint64_t kFrames = 100'000;
constexpr std::uint32_t kIdle = 20'000;
#else
constexpr std::uint64_t kFrames = 1'000'000;
constexpr std::uint32_t kIdle = 100'000;
#endif

// A stream's owner at both ends: sends frames of changing sizes for a while and then ends; takes
// what arrives, but now and then refuses, so that buffers fill and drain.
struct Worker final : Source, Sink {
  Produced produce(MutableBytes out) override {
    if (left == 0) return Produced::end();
    const std::size_t n = std::min({out.size(), left, 1 + (left * 7919) % 4000});
    std::fill_n(out.begin(), n, std::uint8_t{1});
    left -= n;
    return Produced::bytes(n);
  }
  std::size_t deliver(Bytes data) override {
    if (++calls % 8 < 3) return 0;
    return calls % 8 == 3 ? (data.size() + 1) / 2 : data.size();
  }
  void end() override { ended = true; }
  void reset(ResetReason) override { ended = true; }

  StreamHandle stream;
  std::size_t left = 0;
  unsigned calls = 0;
  bool ended = true;
};

struct Side final : Events {
  explicit Side(const Config& config) : session(config, *this, Time{}) {}
  void on_open(StreamHandle stream) override {
    for (Worker& worker : workers) {
      if (!worker.ended || session.alive(worker.stream)) continue;
      worker = {};
      worker.stream = stream;
      worker.left = opened++ % 8 == 0 ? 2'000'000 : 100'000;  // some want a wider window
      worker.ended = false;
      session.attach(stream, &worker, &worker);
      return;
    }
  }
  void on_go_away() override {}
  void on_want_pull() override {}

  std::array<Worker, 64> workers;
  unsigned opened = 0;
  Session session;
};

TEST(Memory, NoAllocationPerFrame) {
  Side a(Config::native(Role::client)), b(Config::native(Role::server));
  std::vector<std::uint8_t> wire(16381);
  Time now{};
  bool ok = true;
  std::size_t most_grown = 0;
  const auto step = [&](Side& from, Side& to) {
    const std::size_t n = from.session.pull(wire, now);
    ok = ok && to.session.feed(Bytes(wire).first(n), now) == Fatal::none;
    for (Worker& worker : to.workers) to.session.resume(worker.stream);
    most_grown = std::max(most_grown, to.session.stats().grown);
  };
  int rounds = 0;
  // In rounds, each of 48 streams that come and go, until so many frames have passed.
  const auto run_until = [&](std::uint64_t frames) {
    while (a.session.stats().frames_in + b.session.stats().frames_in < frames && ok) {
      if (++rounds % 3 == 0) a.session.ping(now);
      for (int i = 0; i < 48; ++i) a.on_open(*a.session.open(now));
      while (a.session.stats().streams + b.session.stats().streams > 0 && ok) {
        step(a, b);
        now += 100us;
        step(b, a);
      }
    }
  };
  a.session.set_rtt(10ms);
  b.session.set_rtt(10ms);
  run_until(kWarm);
  most_grown = 0;
  const auto warm = allocations();
  run_until(kWarm + kFrames);
  ASSERT_TRUE(ok);
  EXPECT_EQ(allocations().count, warm.count);

  // The run was one: streams came and went, windows grew, buffers were used, pings answered.
  EXPECT_GT(most_grown, limits::MiB);
  EXPECT_GT(b.session.stats().opened_by_peer, 1000u * kFrames / 1'000'000);
  EXPECT_EQ(a.session.stats().ping_rtt, 100us);
  EXPECT_EQ(b.session.stats().resets_in + b.session.stats().resets_out, 0u);
}

struct Quiet final : Events {
  explicit Quiet(Config config) : session(std::make_unique<Session>(config, *this, Time{})) {}
  void on_open(StreamHandle) override {}
  void on_go_away() override {}
  void on_want_pull() override {}
  std::unique_ptr<Session> session;
};

TEST(Memory, AnIdleStreamTakesLessThanAKibibyte) {
  Config config = Config::native(Role::client);
  config.max_streams = kIdle;
  Config other = config;
  other.role = Role::server;
  std::vector<std::uint8_t> wire(16381);
  std::string opening;
  const auto before = allocations();

  Quiet client(config);
  Time now{};
  opening.reserve(std::size_t{12} * kIdle);
  const auto after_reserve = allocations();
  for (std::uint32_t i = 0; i < kIdle; ++i) ASSERT_TRUE(client.session->open(now).has_value());
  const auto ours = allocations();
  while (const std::size_t n = client.session->pull(wire, now)) {
    opening.append(reinterpret_cast<const char*>(wire.data()), n);
  }
  EXPECT_EQ(allocations().live, ours.live);
  Quiet server(other);
  for (std::size_t at = 0; at < opening.size(); at += 1200) {
    now += 20ms;  // as fast as the guard allows
    ASSERT_EQ(server.session->feed(as_bytes(opening).subspan(at).first(
                                       std::min<std::size_t>(1200, opening.size() - at)),
                                   now),
              Fatal::none);
  }
  const auto theirs = allocations();
  ASSERT_EQ(server.session->stats().streams, kIdle);

  const std::size_t per_opener = (ours.live - after_reserve.live) / kIdle;
  const std::size_t per_acceptor = (theirs.live - ours.live) / kIdle;
  RecordProperty("bytes_per_idle_stream_opened", static_cast<int>(per_opener));
  RecordProperty("bytes_per_idle_stream_accepted", static_cast<int>(per_acceptor));
  std::printf("bytes per idle stream: %zu opened, %zu accepted\n", per_opener, per_acceptor);
  EXPECT_LE(per_opener, 1024u);
  EXPECT_LE(per_acceptor, 1024u);
  EXPECT_GT(per_acceptor, 64u);  // the count counts
  EXPECT_GT(after_reserve.live, before.live);
}

}  // namespace
}  // namespace leat::mux
