// One budget for all sessions of a process: what many greedy ones leave to the next.

#include "mux/memory_share.h"

#include <gtest/gtest.h>

#include <deque>
#include <thread>
#include <vector>

#include "mux/mux_harness.h"

namespace leat::mux::test {
namespace {

constexpr std::size_t kMiB = limits::MiB;

TEST(MemoryBudget, ASharesLeasesComeInBlocksAndGoBack) {
  MemoryBudget budget(8 * kMiB);
  {
    MemoryShare share(budget);
    ASSERT_TRUE(share.take(1000));
    EXPECT_EQ(budget.free(), 7 * kMiB);
    EXPECT_EQ(share.allowance(), (8 * kMiB - 1000) / 8);
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(share.take(1000));
    EXPECT_EQ(budget.free(), 7 * kMiB);  // one lease for all of them
    ASSERT_TRUE(share.take(6 * kMiB));
    ASSERT_FALSE(share.take(2 * kMiB));
    EXPECT_TRUE(share.take(8 * kMiB - 6 * kMiB - 1001 * 1000));  // to the last byte
    EXPECT_FALSE(share.take(1));
    EXPECT_EQ(share.allowance(), 0u);
    share.give_back(8 * kMiB);
    EXPECT_EQ(budget.free(), 7 * kMiB);  // it keeps one block
  }
  EXPECT_EQ(budget.free(), 8 * kMiB);
}

TEST(MemoryBudget, ShardsMayLeaseAtTheSameTime) {
  MemoryBudget budget(16 * kMiB);
  const auto work = [&](unsigned seed) {
    MemoryShare share(budget);
    std::vector<std::size_t> taken;
    for (int i = 0; i < 20000; ++i) {
      seed = seed * 1664525 + 1013904223;
      const std::size_t n = seed >> 12;
      if (taken.size() < 30 && share.take(n)) {
        taken.push_back(n);
      } else if (!taken.empty()) {
        share.give_back(taken.back());
        taken.pop_back();
      }
    }
    for (const std::size_t n : taken) share.give_back(n);
  };
  std::thread a(work, 1), b(work, 2);
  work(3);
  a.join();
  b.join();
  EXPECT_EQ(budget.free(), budget.total());
}

// A session whose streams are never read, and a peer that sends all it may on each of them.
struct Greedy {
  explicit Greedy(MemoryShare& share) : relay(config(share)) {
    relay.accept = [this](StreamHandle s) {
      TextSink& sink = sinks.emplace_back();
      sink.room = 0;
      relay.session.attach(s, nullptr, &sink);
    };
  }
  static Config config(MemoryShare& share) {
    Config config = Config::native(Role::server);
    config.memory = &share;
    return config;
  }
  // 16 KiB more; as a driver would, only while the session reads. False when it does not.
  bool more(Time now) {
    if (!relay.session.wants_feed()) return false;
    if (left == 0) {
      id += 2;
      left = limits::kInitialWindow;
      EXPECT_EQ(relay.session.feed(as_bytes(window(id, 0, flag::syn)), now), Fatal::none);
    }
    left -= 16384;
    EXPECT_EQ(relay.session.feed(as_bytes(data(id, std::string(16384, 'x'))), now), Fatal::none);
    return true;
  }
  Peer relay;
  std::deque<TextSink> sinks;
  std::uint32_t id = 1, left = 0;
};

TEST(MemoryBudget, HoweverManyAreGreedyTheNextOneHasAPartAsLarge) {
  for (const std::size_t sessions : {1u, 4u, 100u}) {
    MemoryBudget budget(32 * kMiB);
    MemoryShare share(budget);
    std::deque<Greedy> greedy;
    for (std::size_t i = 0; i < sessions; ++i) greedy.emplace_back(share);
    Time now{};
    for (bool moved = true; moved;) {
      moved = false;
      for (Greedy& each : greedy) moved |= each.more(now);
    }
    std::size_t held = 0, least = SIZE_MAX, most = 0;
    for (Greedy& each : greedy) {
      const std::size_t h = each.relay.session.stats().held;
      held += h;
      least = std::min(least, h);
      most = std::max(most, h);
    }
    EXPECT_LE(held, budget.total());
    EXPECT_LE(most, least * 5 / 4 + 16384) << sessions;

    // An honest one still has room for what its receivers do not take at once, and nobody resets
    // its streams.
    Greedy honest(share);
    const std::size_t part = std::min(most, share.allowance()) * 3 / 4;
    ASSERT_GE(part, 100'000u);
    for (Greedy& each : greedy) {
      for (TextSink& sink : each.sinks) ASSERT_FALSE(sink.reset_by.has_value());
    }
    while (honest.relay.session.stats().held + 20'000 < part) ASSERT_TRUE(honest.more(now));
    for (TextSink& sink : honest.sinks) {
      EXPECT_FALSE(sink.reset_by.has_value());
      sink.room = SIZE_MAX;
    }
    for (const StreamHandle stream : honest.relay.opened) honest.relay.session.resume(stream);
    EXPECT_EQ(honest.relay.session.stats().held, 0u);

    // The greedy ones lose their stalled streams as if they had that part alone; those that wait
    // for others to leave room are woken by their deadline.
    now += limits::kStalled;
    while (greedy.size() > 1) greedy.pop_back();
    Session& last = greedy.front().relay.session;
    for (int i = 0; i < 200 && !last.wants_feed(); ++i) {
      now = std::max(now, last.next_deadline());
      ASSERT_EQ(last.on_deadline(now), Fatal::none);
    }
    EXPECT_TRUE(last.wants_feed());
    greedy.clear();
    EXPECT_GT(budget.free() + 2 * MemoryShare::kLease, budget.total());
  }
}

TEST(MemoryBudget, WindowsDoNotGrowWhileHalfOfItIsUsed) {
  MemoryBudget budget(32 * kMiB);
  MemoryShare share(budget);
  for (const bool scarce : {false, true}) {
    if (scarce) {
      ASSERT_TRUE(share.take(17 * kMiB));
    }
    Pair pair(Config::native(Role::client), Greedy::config(share));
    BulkSource source;
    TextSink sink;
    pair.server.accept = [&](StreamHandle s) { pair.server.session.attach(s, nullptr, &sink); };
    pair.client.session.attach(*pair.client.session.open(pair.now), &source, nullptr);
    for (int i = 0; i < 100; ++i) {
      const std::string there = pair.client.take();
      ASSERT_EQ(pair.server.session.feed(as_bytes(there), pair.now), Fatal::none);
      const std::string back = pair.server.take();
      ASSERT_EQ(pair.client.session.feed(as_bytes(back), pair.now), Fatal::none);
      sink.text.clear();
      if (pair.server.session.window(pair.server.opened[0]) > (1 << 20)) break;
    }
    EXPECT_EQ(pair.server.session.window(pair.server.opened[0]) > limits::kInitialWindow, !scarce);
  }
  share.give_back(17 * kMiB);
}

}  // namespace
}  // namespace leat::mux::test
