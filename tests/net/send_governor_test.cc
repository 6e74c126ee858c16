// The governor against a fluid model of a bottleneck in virtual time: one queue, our connection
// under cubic with the governor's bound, and at times another connection under cubic without.
#include "net/send_governor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>

namespace leat::net {
namespace {

using namespace std::chrono_literals;

constexpr double kPacket = 1448;
constexpr double kStep = 0.0005;  // seconds

// RFC 9438 §4.2, in bytes; slow start until the first loss.
class Cubic {
 public:
  void grow(double dt, double rtt) {
    if (max_ == 0) {
      window_ += window_ * dt / rtt;
      return;
    }
    since_loss_ += dt;
    if (forgot_) {  // the kernel's: at least a twentieth in a round trip until the next loss
      window_ += std::max(window_ * 0.05 / rtt, 1.2 * since_loss_ * since_loss_ * kPacket) * dt;
      return;
    }
    const double k = std::cbrt(max_ / kPacket * 0.3 / 0.4);
    window_ = (0.4 * std::pow(since_loss_ - k, 3) + max_ / kPacket) * kPacket;
    window_ = std::max(window_, 2 * kPacket);
  }
  void lose() {
    max_ = window_;
    window_ *= 0.7;
    since_loss_ = 0;
    forgot_ = false;
  }
  void forget() {
    since_loss_ = 0;
    forgot_ = true;
  }
  double window() const { return window_; }

 private:
  double window_ = 10 * kPacket, max_ = 0, since_loss_ = 0;
  bool forgot_ = false;
};

struct Path {
  double capacity = 50e6 / 8;  // bytes/s
  double base = 0.0002;        // s
  double queue = 0.2;          // s at `capacity`
};

struct Totals {
  double ours = 0, theirs = 0, time = 0, rtt_sum = 0, rtt_worst = 0, possible = 0;
  double utilisation() const { return ours / possible; }
  double share() const { return ours / (ours + theirs); }
  double mean_rtt() const { return rtt_sum / time; }
};

class Bottleneck {
 public:
  explicit Bottleneck(Path p) : path(p) {}

  Path path;
  bool competitor = false;
  int competitors = 1;             // alike, if there are any
  bool losing = false;             // packets, whatever is sent
  double per_acknowledgement = 2;  // packets
  double bunched = 0;              // s of each second whose acknowledgements come together
  double spread = 0;               // s which that takes
  double offered = std::numeric_limits<double>::infinity();  // bytes/s our application has
  SendGovernor governor{true};

  int claims = 0;

  void lose() {
    ours_.lose();
    ++lost_packets_;
  }
  Totals run(double duration) {
    Totals totals;
    for (double end = now_ + duration; now_ < end; now_ += kStep) step(totals);
    return totals;
  }

 private:
  void step(Totals& totals) {
    const bool bulk = std::isinf(offered);
    const auto bound = governor.outstanding_bound();
    const double allowed = bound == std::numeric_limits<std::size_t>::max()
                               ? std::numeric_limits<double>::infinity()
                               : static_cast<double>(bound);
    const double held = std::min({allowed, ours_.window(), bulk ? 1e12 : offered * path.base});
    const double others = competitor ? competitors * theirs_.window() : 0;
    const double total = held + others;
    const double content = path.capacity * path.base;
    const double rtt = std::max(path.base, total / path.capacity);
    const double rate = std::min(path.capacity, total / path.base);
    const double delivered = rate * kStep * held / std::max(total, 1.0);
    acked_ += delivered;
    totals.ours += delivered;
    totals.theirs += rate * kStep - delivered;
    totals.time += kStep;
    totals.possible += path.capacity * kStep;
    totals.rtt_sum += rtt * kStep;
    totals.rtt_worst = std::max(totals.rtt_worst, rtt);

    if (total > content + path.queue * path.capacity && now_ - lost_ > rtt) {
      lost_ = now_;
      // A full queue drops what arrives: the larger connection always loses some of it, the smaller
      // one in proportion.
      const double share = held / total;
      if ((hits_ += std::min(1.0, 2 * share)) >= 1) {
        hits_ -= 1;
        lose();
      }
      if (competitor && (their_hits_ += std::min(1.0, 2 * (1 - share))) >= 1) {
        their_hits_ -= 1;
        theirs_.lose();
      }
    }
    // The kernel grows its window only while it is what limits (RFC 9438 §5.8).
    if (held >= ours_.window() * 0.99) ours_.grow(kStep, rtt);
    if (competitor) theirs_.grow(kStep, rtt);

    // Each acknowledgement moves the mean by an eighth (RFC 6298 §2.3).
    const double acknowledgements = std::max(delivered / kPacket / per_acknowledgement, 1e-3);
    smoothed_ =
        smoothed_ == 0 ? rtt : smoothed_ + (rtt - smoothed_) * std::min(1.0, acknowledgements / 8);
    PathSample sample;
    sample.at = Time(Duration(static_cast<std::int64_t>((now_ + 1) * 1e9)));
    // Each second `bunched` of silence, and then within `spread` what was to come in it.
    const double late = std::fmod(now_, 1) - bunched;
    if (bunched == 0 || late >= spread) known_ = acked_;
    if (bunched > 0 && late >= 0 && late < spread) known_ += (acked_ - known_) * kStep / spread;
    sample.acked = static_cast<std::uint64_t>(known_);
    sample.outstanding = static_cast<std::size_t>(held);
    sample.rtt = Duration(static_cast<std::int64_t>(smoothed_ * 1e9));
    acknowledgements_ += acknowledgements;
    sample.acknowledgements = static_cast<std::uint32_t>(acknowledgements_);
    sample.resent = lost_packets_ + (losing ? static_cast<std::uint32_t>(now_ * 40) : 0);
    governor.sample(sample, bulk);
    if (governor.take_claim()) {
      ++claims;
      ours_.forget();
    }
  }

  Cubic ours_, theirs_;
  double now_ = 0, acked_ = 0, known_ = 0, smoothed_ = 0, lost_ = -1;
  double hits_ = 0, their_hits_ = 0;
  double acknowledgements_ = 0;
  std::uint32_t lost_packets_ = 0;
};

TEST(SendGovernor, KeepsTheQueueShortOnAShortPath) {
  Bottleneck link({});
  link.run(2);
  const Totals t = link.run(60);
  EXPECT_GT(t.utilisation(), 0.98);
  EXPECT_LT(t.mean_rtt(), 0.007);  // the floor of 32 KiB is 5.2 ms here
  EXPECT_EQ(link.governor.mode(), SendGovernor::Mode::steady);
}

TEST(SendGovernor, KeepsTheQueueShortOnALongPath) {
  Bottleneck link({.base = 0.04});
  link.run(3);
  const Totals t = link.run(60);
  EXPECT_GT(t.utilisation(), 0.97);
  EXPECT_LT(t.mean_rtt(), 0.04 * 1.3);
}

TEST(SendGovernor, AWideLongPathIsFilled) {
  Bottleneck link({.capacity = 1e9 / 8, .base = 0.1, .queue = 0.05});
  link.run(10);
  EXPECT_GT(link.run(30).utilisation(), 0.9);
}

TEST(SendGovernor, FollowsTheCapacityDownAndUp) {
  Bottleneck link({.base = 0.02});
  link.run(10);
  link.path.capacity = 10e6 / 8;
  link.run(5);
  EXPECT_LT(link.run(10).mean_rtt(), 0.035);
  link.path.capacity = 50e6 / 8;
  link.run(5);
  EXPECT_GT(link.run(20).utilisation(), 0.95);
}

TEST(SendGovernor, ALongerRouteIsLearnt) {
  Bottleneck link({.base = 0.02});
  link.run(15);
  link.path.base = 0.08;
  link.run(30);
  const Totals t = link.run(20);
  EXPECT_GT(t.utilisation(), 0.9);
  EXPECT_LT(t.mean_rtt(), 0.12);
}

TEST(SendGovernor, ALongerRouteWithAShortQueueIsLearntAfterAWhile) {
  for (const double queue : {0.02, 0.05, 0.08}) {
    Bottleneck link({.base = 0.01, .queue = queue});
    link.run(10);
    link.path.base = 0.06;
    link.run(150);  // what a drain leaves could be a neighbour's
    EXPECT_LT(link.run(20).mean_rtt(), 0.08) << queue;
  }
}

TEST(SendGovernor, ALongerRouteIsLearntThoughTheRoundTripComesDownSlowly) {
  for (const double packets : {2, 5, 10}) {  // of segments that are merged on the way
    for (const double base : {0.004, 0.01}) {
      Bottleneck link({.base = base});
      link.per_acknowledgement = packets;
      link.run(4);
      link.path.base = 0.04;  // which at first looks like a neighbour's queue
      link.run(15);
      EXPECT_EQ(link.governor.mode(), SendGovernor::Mode::steady) << base << ' ' << packets;
      EXPECT_NEAR(static_cast<double>(link.governor.base_rtt().count()), 40e6, 3e6)
          << base << ' ' << packets;
      EXPECT_GT(link.run(20).utilisation(), 0.95) << base << ' ' << packets;
    }
  }
}

TEST(SendGovernor, BunchedAcknowledgementsDoNotMakeThePathLookWider) {
  for (const double silence : {0.06, 0.15}) {
    for (const double spread : {0.0, 0.001, 0.005, 0.01}) {
      Bottleneck link({.base = 0.01});
      link.run(2);
      link.bunched = silence;
      link.spread = spread;
      const Totals t = link.run(20);
      EXPECT_LT(t.mean_rtt(), 0.0135) << silence << ' ' << spread;
      EXPECT_GT(t.utilisation(), 0.98) << silence << ' ' << spread;
      EXPECT_LT(static_cast<double>(link.governor.rate()), 1.05 * link.path.capacity)
          << silence << ' ' << spread;
    }
  }
}

TEST(SendGovernor, AShorterRouteIsLearnt) {
  Bottleneck link({.base = 0.08});
  link.run(15);
  link.path.base = 0.02;
  link.run(12);
  EXPECT_LT(link.run(20).mean_rtt(), 0.03);
}

TEST(SendGovernor, KeepsItsShareBesideCubicAndReturns) {
  for (const double base : {0.0002, 0.04}) {
    Bottleneck link({.base = base});
    link.run(10);
    link.competitor = true;
    const Totals beside = link.run(60);
    EXPECT_GT(beside.share(), 0.4) << base;
    link.competitor = false;
    link.run(12);
    const Totals after = link.run(30);
    EXPECT_LT(after.mean_rtt(), base * 1.3 + 0.007) << base;
    EXPECT_GT(after.utilisation(), 0.95) << base;
  }
}

TEST(SendGovernor, KeepsItsShareWhereAcknowledgementsAreFewAndTheQueueIsLong) {
  for (const double base : {0.0002, 0.04}) {
    Bottleneck link({.capacity = 10e6 / 8, .base = base, .queue = 0.5});
    link.per_acknowledgement = 10;
    link.run(10);
    link.competitor = true;
    EXPECT_GT(link.run(60).share(), 0.4) << base;
    EXPECT_GT(link.run(120).share(), 0.4) << base;
  }
}

TEST(SendGovernor, ADrainDoesNotForgetTheRate) {
  Bottleneck link({.base = 0.01});
  link.per_acknowledgement = 10;  // long drains
  link.run(11);
  link.path.base = 0.03;
  for (int i = 0; i < 400 && link.governor.base_rtt() < 25ms; ++i) link.run(0.05);
  EXPECT_GT(link.governor.base_rtt(), 25ms);
  EXPECT_GT(static_cast<double>(link.governor.rate()), 0.9 * link.path.capacity);
}

void begin_beside_a_neighbour(Bottleneck& link) {
  link.offered = 5000;
  link.run(2);
  link.competitor = true;
  link.run(5);
  link.offered = std::numeric_limits<double>::infinity();
}

TEST(SendGovernor, GetsAShareBesideCubicThatWasThereFirst) {
  for (const double base : {0.0002, 0.01, 0.04}) {
    Bottleneck link({.base = base});
    begin_beside_a_neighbour(link);
    EXPECT_GT(link.run(60).share(), 0.4) << base;
    link.run(60);
    EXPECT_LT(link.governor.base_rtt(), 50ms) << base;  // the queue is his, not the path's
    link.competitor = false;
    link.run(20);
    EXPECT_LT(link.run(30).mean_rtt(), base * 1.3 + 0.007) << base;
  }
}

TEST(SendGovernor, AStartThatANeighbourKeepsSmallIsNoSlowPath) {
  for (const double queue : {0.1, 0.2, 0.5}) {
    Bottleneck link({.queue = queue});
    begin_beside_a_neighbour(link);
    for (int i = 0; i < 4; ++i) {
      link.run(0.3);
      link.lose();
    }
    const auto mode = [&] { return link.governor.mode(); };
    for (int i = 0; i < 50 && mode() != SendGovernor::Mode::yielding; ++i) link.run(0.1);
    EXPECT_EQ(mode(), SendGovernor::Mode::yielding) << queue;
    link.run(30);
    const double share = link.run(45).share();
    EXPECT_GT(share, 0.43) << queue;  // by itself it is 0.38 to 0.40
    EXPECT_LT(share, 0.57) << queue;
    EXPECT_GT(link.claims, 0) << queue;
    EXPECT_LE(link.claims, 8) << queue;
    EXPECT_LT(link.governor.base_rtt(), 50ms) << queue;  // the queue is his
  }
}

TEST(SendGovernor, BesideSeveralItClaimsButAFewTimes) {
  for (const int competitors : {2, 4, 8}) {
    Bottleneck link({});
    link.competitors = competitors;
    begin_beside_a_neighbour(link);
    link.run(300);
    EXPECT_GT(link.claims, 3) << competitors;
    EXPECT_LE(link.claims, 8) << competitors;
    EXPECT_LT(link.run(60).share(), 0.57) << competitors;
    link.competitor = false;
    link.run(30);
    EXPECT_EQ(link.governor.mode(), SendGovernor::Mode::steady) << competitors;
    // Who comes now finds us with all of it.
    link.competitors = 1;
    link.competitor = true;
    EXPECT_GT(link.run(60).share(), 0.4) << competitors;
  }
}

// Half of what arrives is somebody else's: our rate before, what a drain makes of the round trip,
// and losses thereafter.
class Weighing {
 public:
  explicit Weighing(std::uint64_t free_rate = 1'000'000) {
    path_.outstanding = 30'000;
    deliver(2s, free_rate, 1ms);
    path_.outstanding = 300'000;
    deliver(1s, 2'500'000, 120ms);
    EXPECT_EQ(governor.mode(), SendGovernor::Mode::yielding);
  }
  // Until the drain has been weighed; the round trip falls by `fell`.
  void drain(Duration fell, std::uint32_t resent = 0, Duration after = 120ms) {
    for (int i = 0; i < 5000 && governor.mode() != SendGovernor::Mode::drain; ++i) {
      deliver(10ms, 2'500'000, 120ms);
    }
    ASSERT_EQ(governor.mode(), SendGovernor::Mode::drain);
    for (int i = 0; i < 1000 && governor.mode() == SendGovernor::Mode::drain; ++i) {
      deliver(10ms, 1'000'000, 120ms - fell);
    }
    path_.resent += resent;
    deliver(300ms, 2'500'000, after);
    deliver(700ms, 2'500'000, after);
  }
  // Whether a loss is to be forgotten; the packets of a round trip are one.
  int lose(Duration apart = 200ms) {
    int claims = 0;
    for (int i = 0; i < 5; ++i) {
      ++path_.resent;
      deliver(10ms, 2'500'000, 120ms);
      claims += governor.take_claim();
    }
    deliver(apart, 2'500'000, 120ms);
    return claims + governor.take_claim();
  }
  void deliver(Duration time, std::uint64_t rate, Duration rtt) {
    for (; time > 0ns; time -= 5ms) {
      path_.at += 5ms;
      path_.acked += rate / 200;
      if (++steps_ % every == 0) {
        ++path_.acknowledgements;
        path_.rtt += (rtt - path_.rtt) / 8;
      }
      governor.sample(path_, true);
    }
  }

  SendGovernor governor;
  int every = 1;  // of so many times 5 ms an acknowledgement comes in one

 private:
  int steps_ = 0;
  PathSample path_{.at = Time(1s), .rtt = 1ms};
};

TEST(SendGovernor, AnEqualShareIsNoLongerPath) {
  // Our rate is the highest that we ever had, or as before, and every drain finds the same.
  for (const std::uint64_t before : {1'000'000, 2'400'000}) {
    Weighing path(before);
    for (int i = 0; i < 8; ++i) {
      path.drain(60ms);
      ASSERT_EQ(path.governor.mode(), SendGovernor::Mode::yielding) << before << ' ' << i;
    }
    EXPECT_LT(path.governor.base_rtt(), 2ms);
    for (int i = 0; i < 4 && path.governor.mode() == SendGovernor::Mode::yielding; ++i) {
      path.drain(60ms, 0, 60ms);
    }
    EXPECT_EQ(path.governor.mode(), SendGovernor::Mode::steady) << "nobody's does for so long";
  }
}

TEST(SendGovernor, UnderBbrNothingIsForgotten) {
  Weighing path;
  path.governor.under_bbr();
  path.deliver(2s, 2'500'000, 120ms);
  ASSERT_EQ(path.governor.mode(), SendGovernor::Mode::yielding);
  path.drain(30ms);
  EXPECT_EQ(path.lose(), 0);
}

TEST(SendGovernor, ALossIsForgottenWhereTheShareIsSmall) {
  Weighing path;
  EXPECT_EQ(path.lose(), 0);  // what the path gives is not known
  EXPECT_EQ(path.governor.outstanding_bound(), std::numeric_limits<std::size_t>::max());
  path.drain(30ms);  // 300 kB of it: 10 MB/s, of which we have 2.5
  EXPECT_EQ(path.lose(), 1);
  EXPECT_NEAR(static_cast<double>(path.governor.outstanding_bound()), 0.52 * 10e6 * 0.12, 12e3);
  EXPECT_EQ(path.lose(), 1);
  EXPECT_EQ(path.lose(), 1);
  EXPECT_EQ(path.lose(), 0);  // until it is weighed again
  EXPECT_EQ(path.governor.outstanding_bound(), std::numeric_limits<std::size_t>::max());
  int claims = 3;
  for (int i = 0; i < 6; ++i) {
    path.drain(30ms);
    while (path.lose()) ++claims;
  }
  EXPECT_EQ(claims, 8);
}

TEST(SendGovernor, ALossStaysWhereTheShareIsEqual) {
  Weighing path;
  path.drain(60ms);  // 5 MB/s, of which we have half
  EXPECT_EQ(path.lose(), 0);
  EXPECT_EQ(path.governor.outstanding_bound(), std::numeric_limits<std::size_t>::max());
}

TEST(SendGovernor, WhatMovesHisQueueIsNotWeighed) {
  Weighing lossy, growing;
  lossy.drain(30ms, 1);
  EXPECT_EQ(lossy.lose(), 0);
  growing.drain(30ms, 0, 160ms);
  EXPECT_EQ(growing.lose(), 0);
}

TEST(SendGovernor, ARoundTripThatFallsByNothingIsATinyShare) {
  Weighing path;
  path.drain(0ms);
  EXPECT_EQ(path.lose(), 1);
  // A twentieth is taken for it.
  EXPECT_NEAR(static_cast<double>(path.governor.outstanding_bound()), 0.52 * 300e3 * 20, 30e3);
}

TEST(SendGovernor, AnEqualShareClaimsNothingInTheRoundTripsAfterADrain) {
  for (const Duration wait : {50ms, 185ms}) {
    Weighing path;
    path.drain(60ms);
    // What the next drain leaves us is less.
    for (int i = 0; i < 5000 && path.governor.mode() != SendGovernor::Mode::drain; ++i) {
      path.deliver(10ms, 2'500'000, 120ms);
    }
    for (int i = 0; i < 100 && path.governor.mode() == SendGovernor::Mode::drain; ++i) {
      path.deliver(10ms, 1'800'000, 60ms);
    }
    path.deliver(wait, 1'800'000, 60ms);
    ASSERT_EQ(path.governor.mode(), SendGovernor::Mode::yielding);
    EXPECT_EQ(path.lose(), 0) << wait.count();
  }
}

TEST(SendGovernor, FewAcknowledgementsWeighAsMany) {
  for (const int every : {1, 5}) {
    Weighing path;
    path.every = every;
    path.drain(58ms);
    EXPECT_EQ(path.lose(), 0) << every;
  }
}

TEST(SendGovernor, WhoeverIsRefusedClaimsNoMore) {
  Weighing path;
  path.drain(30ms);
  EXPECT_EQ(path.lose(), 1);
  path.governor.refuse_claims();
  EXPECT_EQ(path.governor.outstanding_bound(), std::numeric_limits<std::size_t>::max());
  path.drain(30ms);
  EXPECT_EQ(path.lose(), 0);
}

TEST(SendGovernor, AClaimEndsWhenHeGoes) {
  Weighing path;
  path.drain(30ms);
  EXPECT_EQ(path.lose(), 1);
  ASSERT_LT(path.governor.outstanding_bound(), 1'000'000u);
  bool unbounded = false;  // before the drain that this leads to
  for (int i = 0; i < 20; ++i) {
    path.deliver(5ms, 2'500'000, 1ms);
    unbounded = unbounded || (path.governor.mode() == SendGovernor::Mode::yielding &&
                              path.governor.outstanding_bound() > 10'000'000);
  }
  EXPECT_TRUE(unbounded);
}

TEST(SendGovernor, ForgetsNothingWhereNobodyElseIs) {
  Weighing path;
  path.drain(30ms);
  path.drain(118ms, 0, 1ms);
  ASSERT_EQ(path.governor.mode(), SendGovernor::Mode::steady);
  EXPECT_EQ(path.lose(), 0);
}

TEST(SendGovernor, APathThatBecomesMuchNarrowerIsFollowed) {
  Bottleneck link({.base = 0.04});
  link.run(10);
  link.path.capacity /= 10;
  link.path.queue *= 10;  // as many bytes as before
  link.run(20);
  const Totals t = link.run(40);
  EXPECT_LT(t.mean_rtt(), 0.1);
  EXPECT_GT(t.utilisation(), 0.95);
}

TEST(SendGovernor, ASlowPathIsNoNeighbour) {
  Bottleneck link({.capacity = 2.4e6 / 8});
  link.run(3);
  const Totals t = link.run(60);
  EXPECT_GT(t.utilisation(), 0.97);
  EXPECT_LT(t.mean_rtt(), 0.115);  // the floor of 32 KiB is 109 ms here
}

TEST(SendGovernor, AnApplicationWithLittleToSendTeachesNothing) {
  Bottleneck link({.base = 0.02});
  link.run(10);
  const auto rate = link.governor.rate();
  link.offered = 5000;
  link.run(30);
  EXPECT_GT(link.governor.rate(), rate * 9 / 10);
  link.offered = std::numeric_limits<double>::infinity();
  link.run(1);
  EXPECT_GT(link.run(5).utilisation(), 0.95);
}

// Delivers for two seconds; every `every`-th round loses a packet.
void lose(SendGovernor& governor, PathSample& path, int every, Duration rtt) {
  path.rtt = rtt;
  for (int i = 0; i < 40; ++i) {
    path.at += 50ms;
    path.acked += 50'000;
    if (i % every == 0) ++path.resent;
    governor.sample(path, true);
  }
}

TEST(SendGovernor, LossWithoutAQueueAsksForBbr) {
  SendGovernor governor;
  PathSample path{.at = Time(1s), .rtt = 40ms};
  governor.sample(path, true);
  lose(governor, path, 1000, 40ms);  // one is an accident
  EXPECT_FALSE(governor.wants_bbr());
  lose(governor, path, 5, 42ms);
  EXPECT_TRUE(governor.wants_bbr());
}

TEST(SendGovernor, HoldsLessUnderBbrWhilePacketsAreLost) {
  SendGovernor governor;
  PathSample path{.at = Time(1s), .rtt = 40ms};
  governor.sample(path, true);
  lose(governor, path, 5, 40ms);
  ASSERT_TRUE(governor.wants_bbr());
  const double content = 50'000 * 20 * 0.04;  // lose() delivers so much every 50 ms
  const auto bound = [&] { return static_cast<double>(governor.outstanding_bound()) / content; };
  EXPECT_NEAR(bound(), 1.25, 0.02);  // the kernel may not lend it
  governor.under_bbr();
  EXPECT_EQ(governor.mode(), SendGovernor::Mode::startup);
  const auto deliver = [&] {
    path.at += 50ms;
    path.acked += 50'000;
    ++path.resent;
    governor.sample(path, true);
  };
  for (int i = 0; i < 5; ++i) deliver();
  EXPECT_EQ(governor.mode(), SendGovernor::Mode::steady);
  int probes = 0;
  for (int i = 0; i < 16; ++i) {  // one interval of eight asks for more
    deliver();
    const bool probe = bound() > 1;
    probes += probe;
    EXPECT_NEAR(bound(), probe ? 1.25 : 0.95, 0.02);
  }
  EXPECT_EQ(probes, 2);
  lose(governor, path, 1000, 40ms);
  EXPECT_NEAR(bound(), 1.25, 0.02);
}

TEST(SendGovernor, OneLossInAWhileDoesNotAskForBbr) {
  SendGovernor governor;
  PathSample path{.at = Time(1s), .rtt = 40ms};
  for (int i = 0; i < 20; ++i) {
    ++path.resent;
    lose(governor, path, 1000, 40ms);
    path.at += 10s;
  }
  EXPECT_FALSE(governor.wants_bbr());
}

TEST(SendGovernor, FindsMoreWhilePacketsAreLost) {
  Bottleneck link({.base = 0.04});
  link.losing = true;
  link.governor.under_bbr();
  link.run(10);
  EXPECT_GT(link.run(20).utilisation(), 0.88);
  link.path.capacity *= 4;
  link.run(15);
  EXPECT_GT(link.run(20).utilisation(), 0.88);
}

TEST(SendGovernor, HeldBackAcknowledgementsAreNoLongPath) {
  // Tokens alone, whose acknowledgements wait 40 ms on a path of 1; then bulk, which has them at
  // once.
  SendGovernor governor;
  PathSample path{.at = Time(1s), .rtt = 1ms};
  const auto deliver = [&](int times, std::uint64_t bytes, std::size_t outstanding, Duration rtt) {
    path.outstanding = outstanding;
    path.rtt = rtt;
    for (int i = 0; i < times; ++i) {
      path.at += 40ms;
      path.acked += bytes;
      governor.sample(path, outstanding > 1000);
    }
  };
  deliver(1, 0, 0, 1ms);
  deliver(50, 200, 100, 40ms);
  deliver(2, 400'000, 30'000, 1ms);
  ASSERT_EQ(governor.mode(), SendGovernor::Mode::startup);
  EXPECT_LT(governor.outstanding_bound(), 50'000u);  // 2 × 10 MB/s × 2 ms
}

TEST(SendGovernor, StartsWithoutALongQueue) {
  for (const double base : {0.01, 0.04, 0.1}) {
    Bottleneck link({.base = base});
    EXPECT_LT(link.run(5).rtt_worst, 2.2 * base);
  }
}

TEST(SendGovernor, LossFromAFullQueueDoesNot) {
  SendGovernor governor;
  PathSample path{.at = Time(1s), .rtt = 40ms};
  governor.sample(path, true);
  lose(governor, path, 1000, 40ms);
  lose(governor, path, 2, 200ms);
  EXPECT_FALSE(governor.wants_bbr());
}

TEST(SendGovernor, ANeighbourDoesNotFindItSmall) {
  // The first moments, before yielding: half of what the path holds, and alone never more than its
  // own.
  Bottleneck link({});
  link.run(5);
  const auto own = link.governor.outstanding_bound();
  EXPECT_EQ(own, 32 * limits::KiB);
  link.competitor = true;
  EXPECT_GT(link.run(4).share(), 0.4);
  EXPECT_EQ(link.governor.mode(), SendGovernor::Mode::yielding);
}

TEST(SendGovernor, UnsentBytesFollowTheRateWithinTheirBounds) {
  SendGovernor governor(false);
  PathSample path{.at = Time(1s), .rtt = 1ms};
  governor.sample(path, true);
  EXPECT_EQ(governor.unsent_bound(), 64 * limits::KiB);  // not known yet
  const auto deliver = [&](std::uint64_t rate) {
    for (int i = 0; i < 20; ++i) {
      path.at += 20ms;
      path.acked += rate / 50;
      governor.sample(path, true);
    }
  };
  deliver(1'000'000);
  EXPECT_EQ(governor.unsent_bound(), 4 * limits::KiB);
  deliver(100'000'000);
  EXPECT_NEAR(static_cast<double>(governor.unsent_bound()), 100e3, 2e3);
  deliver(5'000'000'000);
  EXPECT_EQ(governor.unsent_bound(), 512 * limits::KiB);
  EXPECT_EQ(governor.outstanding_bound(), std::numeric_limits<std::size_t>::max());
}

TEST(SendGovernor, LooksAgainWhenThePathMayHaveMoved) {
  const auto look = [](double rate, std::size_t missing) {
    SendGovernor governor(true);
    PathSample path{.at = Time{} + 1s, .outstanding = 64 * 1024, .rtt = 5ms};
    for (int i = 0; i < 400; ++i) {
      path.at += 5ms;
      path.acked += static_cast<std::uint64_t>(rate * 0.005);
      governor.sample(path, true);
    }
    const Duration moving = governor.retry_in(missing);
    // From here on nothing arrives, however often it is asked.
    for (int i = 0; i < 60; ++i) {
      path.at += 5ms;
      governor.sample(path, true);
    }
    EXPECT_EQ(governor.retry_in(missing), 10ms);
    path.outstanding = 0;  // and then there was nothing to wait for
    path.at += 5ms;
    governor.sample(path, true);
    EXPECT_LT(governor.retry_in(1), 1ms);
    return moving;
  };
  EXPECT_EQ(look(125e6, 2048), 500us);
  const Duration slow = look(1e6, 2048);
  EXPECT_GT(slow, 950us);
  EXPECT_LT(slow, 1100us);
  EXPECT_EQ(look(100e3, 2048), 10ms);
  EXPECT_EQ(SendGovernor(true).retry_in(2048), 500us);  // not yet known
}

TEST(SendGovernor, TheAllowanceCountsTheRing) {
  SendGovernor governor(true);
  PathSample path{.at = Time(1s), .rtt = 20ms};
  for (int i = 0; i < 50; ++i) {
    path.at += 20ms;
    path.acked += 20'000'000 / 50;
    governor.sample(path, true);
  }
  path.outstanding = governor.outstanding_bound() - 1000;
  governor.sample(path, true);
  EXPECT_EQ(governor.allowance(0), 1000u);
  EXPECT_EQ(governor.allowance(400), 600u);
  EXPECT_EQ(governor.allowance(5000), 0u);
}

}  // namespace
}  // namespace leat::net
