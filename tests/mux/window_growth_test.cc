// Receive windows that grow and shrink with what the path and the peer make of them: two sessions
// over a link with a rate and a delay, in virtual time.

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <numeric>

#include "mux/mux_harness.h"
#include "mux/mux_wire.h"

namespace leat::mux::test {
namespace {

constexpr std::uint32_t kBase = limits::kInitialWindow;

// Counts what it takes; takes all, or at most so much a second.
struct Meter final : Sink {
  std::uint64_t taken = 0;
  std::size_t room = SIZE_MAX;
  bool reset_seen = false;

  std::size_t deliver(Bytes data) override {
    const std::size_t n = std::min(room, data.size());
    if (room != SIZE_MAX) room -= n;
    taken += n;
    return n;
  }
  void end() override {}
  void reset(ResetReason) override { reset_seen = true; }
};

// An agent that sends, a relay that takes.
struct Path {
  Path(double rate, Duration rtt, Config a = Config::native(Role::client),
       Config b = Config::native(Role::server))
      : agent(a), relay(b) {
    there.rate = rate;
    there.delay = rtt / 2;
    back = there;
    relay.accept = [this](StreamHandle s) {
      relay.session.attach(s, nullptr, &meters.emplace_back());
    };
    if (a.ping_interval == Duration::zero()) {  // what a driver would measure
      agent.session.set_rtt(rtt);
      relay.session.set_rtt(rtt);
    }
  }

  void open(int streams) {
    for (int i = 0; i < streams; ++i) {
      agent.session.attach(*agent.session.open(now), &sources.emplace_back(), nullptr);
    }
  }

  void run(Duration time) {
    const Time end = now + time;
    while (fault == Fatal::none) {
      if (arrive(there, relay) || arrive(back, agent)) continue;
      if (there.pull(agent.session, now) || back.pull(relay.session, now)) continue;
      const Time next = std::min({there.next(agent.session), back.next(relay.session),
                                  agent.session.next_deadline(), relay.session.next_deadline()});
      if (next > end) break;
      now = std::max(next, now);
      for (Peer* peer : {&agent, &relay}) {
        if (peer->session.next_deadline() <= now) fault = peer->session.on_deadline(now);
      }
    }
    now = end;
    ASSERT_EQ(fault, Fatal::none);
  }

  bool arrive(Wire& wire, Peer& at) {
    if (wire.flying.empty() || wire.flying.front().arrives > now) return false;
    fault = at.session.feed(as_bytes(wire.flying.front().bytes), now);
    wire.flying.pop_front();
    return true;
  }

  // What each stream moves in so much time.
  std::vector<double> measure(Duration time) {
    std::vector<double> before, moved;
    for (const Meter& meter : meters) before.push_back(static_cast<double>(meter.taken));
    run(time);
    for (std::size_t i = 0; i < before.size(); ++i) {
      moved.push_back(static_cast<double>(meters[i].taken) - before[i]);
    }
    return moved;
  }

  std::uint32_t window(std::size_t stream) const {
    return relay.session.window(relay.opened[stream]);
  }

  Wire there, back;
  Time now{};
  Fatal fault = Fatal::none;
  Peer agent, relay;
  std::deque<BulkSource> sources;
  std::deque<Meter> meters;
};

constexpr double kFast = 12.5e6;  // 100 Mbit/s

double sum(const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0); }

// R. Jain, A quantitative measure of fairness (DEC-TR-301): 1 is even, 1/n is one for all.
double jain(const std::vector<double>& x) {
  double squares = 0;
  for (const double v : x) squares += v * v;
  return sum(x) * sum(x) / (static_cast<double>(x.size()) * squares);
}

TEST(WindowGrowth, OneStreamFillsALongFatPath) {
  Path path(kFast, 100ms);
  path.open(1);
  path.run(2s);
  EXPECT_GE(sum(path.measure(10s)), 0.97 * 10 * kFast);
  EXPECT_LE(path.window(0), 4 << 20);
  EXPECT_LE(path.relay.session.stats().held, 64u << 10);
}

TEST(WindowGrowth, AWindowThatCannotGrowStopsShort) {  // that the link measures what it should
  Config config = Config::native(Role::server);
  config.max_window = kBase;
  Path path(kFast, 100ms, Config::native(Role::client), config);
  path.open(1);
  path.run(2s);
  EXPECT_LE(sum(path.measure(10s)), 0.25 * 10 * kFast);
}

TEST(WindowGrowth, SoDoesOneOfABarePeer) {
  Path path(kFast, 100ms, Config::bare(Role::client), Config::bare(Role::server));
  path.open(1);
  path.run(2s);
  EXPECT_GE(sum(path.measure(10s)), 0.97 * 10 * kFast);
  EXPECT_GE(path.relay.session.stats().ping_rtt, 100ms);
}

TEST(WindowGrowth, SixtyFourStreamsShareIt) {
  Path path(kFast, 100ms);
  path.open(64);
  path.run(2s);
  const std::vector<double> moved = path.measure(10s);
  EXPECT_GE(sum(moved), 0.97 * 10 * kFast);
  EXPECT_GE(jain(moved), 0.99);
}

TEST(WindowGrowth, SoDoTheyBesideOneThatCameFirst) {
  Path path(kFast, 100ms);
  path.open(1);
  path.run(2s);
  path.open(63);
  path.run(2s);
  const std::vector<double> moved = path.measure(10s);
  EXPECT_GE(sum(moved), 0.97 * 10 * kFast);
  EXPECT_GE(jain(moved), 0.99);
}

// A path that wants more than there is: what there is goes evenly to those who want it.
TEST(WindowGrowth, WhatIsScarceIsSharedEvenly) {
  Path path(125e6, 200ms);
  path.open(1);
  path.run(4s);
  EXPECT_EQ(path.window(0), kBase + (8 << 20));  // half the receive budget
  path.open(7);
  path.run(8s);
  const std::vector<double> moved = path.measure(4s);
  EXPECT_GE(jain(moved), 0.98);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(path.window(i), kBase + (1 << 20), 300'000) << i;
  EXPECT_LE(path.relay.session.stats().grown, 8u << 20);
}

TEST(WindowGrowth, WhoLetsItsWindowLieLosesIt) {
  Path path(125e6, 200ms);
  path.open(2);
  path.run(4s);
  ASSERT_GE(path.window(0), 4 << 20);
  path.agent.session.detach(StreamHandle{0, 0});
  path.run(5s);
  EXPECT_EQ(path.window(0), kBase);
  EXPECT_EQ(path.window(1), kBase + (8 << 20));
}

TEST(WindowGrowth, AStreamThatEndsGivesItsShareBack) {
  Path path(kFast, 100ms);
  path.open(1);
  path.run(2s);
  ASSERT_GT(path.relay.session.stats().grown, 0u);
  path.relay.session.reset(path.relay.opened[0]);
  EXPECT_EQ(path.relay.session.stats().grown, 0u);
}

TEST(WindowGrowth, ASlowerPathNeedsALesserWindow) {
  Path path(kFast, 100ms);
  path.open(1);
  path.run(2s);
  const std::uint32_t wide = path.window(0);
  path.there.rate = kFast / 20;
  path.run(20s);
  EXPECT_LT(path.window(0), wide / 4);
  EXPECT_GE(sum(path.measure(10s)), 0.97 * 10 * kFast / 20);
}

// The receiver, not its window, is what holds the peer back.
TEST(WindowGrowth, ASlowReceiverGetsNoMore) {
  Path path(kFast, 20ms);
  path.relay.accept = [&](StreamHandle s) {
    path.meters.emplace_back().room = 0;
    path.relay.session.attach(s, nullptr, &path.meters.back());
  };
  path.open(1);
  path.run(20ms);
  for (int i = 0; i < 1000; ++i) {
    path.run(10ms);
    path.meters[0].room = 10'000;
    path.relay.session.resume(path.relay.opened[0]);
  }
  EXPECT_GE(path.meters[0].taken, 9'000'000u);
  EXPECT_EQ(path.window(0), kBase);
}

TEST(WindowGrowth, AShortPathAtMemorySpeedGetsAFewBatchesWorth) {
  Path path(800e6, 50us);
  path.open(1);
  path.run(1s);
  EXPECT_GE(path.window(0), 2 << 20);
  EXPECT_LE(path.window(0), 4 << 20);
}

TEST(WindowGrowth, ALinkOfKnownSpeedButUnknownRoundTripLearnsNothing) {
  Path path(kFast, 100ms);
  path.relay.session.set_rtt(0ms);
  path.open(1);
  path.run(5s);
  EXPECT_EQ(path.window(0), kBase);
}

// A relay that is busy with others reads much at a time and grants late: what the peer then lacks
// is credit, though the round trip would not show it.
TEST(WindowGrowth, LateGrantsCallForAWiderWindow) {
  Path path(kFast, 1ms);
  path.there.nap = 50ms;
  path.open(1);
  path.run(3s);
  EXPECT_GE(sum(path.measure(5s)), 0.85 * 5 * kFast);
}

TEST(WindowGrowth, StopsAtHalfOfTheBudgetHeld) {  // docs/protocol.md §1.9
  Config config = Config::native(Role::server);
  config.receive_budget = 2 << 20;
  Path path(kFast, 100ms, Config::native(Role::client), config);
  path.relay.accept = [&](StreamHandle s) {
    const bool stuck = path.meters.size() < 4;
    path.meters.emplace_back().room = stuck ? 0 : SIZE_MAX;
    path.relay.session.attach(s, nullptr, &path.meters.back());
  };
  path.open(4);
  path.run(1s);
  ASSERT_GE(path.relay.session.stats().held * 2, 2u << 20);
  path.open(2);
  path.run(2s);
  EXPECT_EQ(path.window(5), kBase);
  path.meters[0].room = SIZE_MAX;
  path.relay.session.resume(path.relay.opened[0]);
  path.run(2s);
  EXPECT_GT(path.window(5), kBase);
}

}  // namespace
}  // namespace leat::mux::test
