#include "mux/window.h"

#include <gtest/gtest.h>

#include <limits>

namespace leat::mux {
namespace {

constexpr std::uint32_t kMax = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kImplicit = limits::kInitialWindow;

TEST(SendWindow, StartsWithWhatIsImplicit) { EXPECT_EQ(SendWindow().available(), kImplicit); }

TEST(SendWindow, RefusesCreditThatOverflowsAndKeepsWhatItHad) {  // threat 2
  SendWindow window;
  EXPECT_FALSE(window.grant(kMax));
  EXPECT_FALSE(window.grant(kMax - kImplicit + 1));
  EXPECT_EQ(window.available(), kImplicit);
  EXPECT_TRUE(window.grant(0));
  EXPECT_TRUE(window.grant(kMax - kImplicit));
  EXPECT_EQ(window.available(), kMax);
  EXPECT_FALSE(window.grant(1));
  window.spend(kMax);
  EXPECT_EQ(window.available(), 0u);
  EXPECT_TRUE(window.grant(kMax));
}

TEST(ReceiveWindow, TakesNoMoreThanItPromised) {  // threat 1
  ReceiveWindow window(kImplicit, Time{});
  EXPECT_FALSE(window.receive(kImplicit + 1));
  EXPECT_FALSE(window.receive(kMax));
  EXPECT_EQ(window.promised(), kImplicit);
  EXPECT_TRUE(window.receive(kImplicit));
  EXPECT_TRUE(window.receive(0));
  EXPECT_FALSE(window.receive(1));
}

// A half, less a frame that the peer might not be able to send before the grant.
constexpr std::uint32_t kLeastGrant = kImplicit / 2 - limits::kMaxFrameBare;

TEST(ReceiveWindow, GrantsAboutHalfAWindowAtATime) {
  ReceiveWindow window(kImplicit, Time{});
  ASSERT_TRUE(window.receive(kImplicit));
  EXPECT_FALSE(window.due());
  window.consume(kLeastGrant - 1);
  EXPECT_FALSE(window.due());
  window.consume(1);
  EXPECT_TRUE(window.due());
  window.consume(1);  // what accumulates before the frame leaves goes with it
  EXPECT_EQ(window.take_grant(), kLeastGrant + 1);
  EXPECT_EQ(window.take_grant(), 0u);
}

TEST(ReceiveWindow, ALargerTargetIsDueAtOnce) {
  ReceiveWindow window(4 * kImplicit, Time{});
  EXPECT_TRUE(window.due());
  EXPECT_EQ(window.take_grant(), 3 * kImplicit);
  EXPECT_EQ(window.promised(), 4 * kImplicit);
}

TEST(ReceiveWindow, ShrinksByWithholding) {
  ReceiveWindow window(4 * kImplicit, Time{});
  EXPECT_EQ(window.take_grant(), 3 * kImplicit);
  window.set_target(kImplicit);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(window.receive(kImplicit));
    window.consume(kImplicit);
    EXPECT_FALSE(window.due()) << i;
    EXPECT_EQ(window.take_grant(), 0u);
  }
  EXPECT_EQ(window.promised(), kImplicit);
  ASSERT_TRUE(window.receive(kImplicit));
  window.consume(kImplicit);
  EXPECT_EQ(window.take_grant(), kImplicit);
}

TEST(ReceiveWindow, GrowsWithTheNextGrant) {
  ReceiveWindow window(kImplicit, Time{});
  window.set_target(limits::kMaxWindow);
  EXPECT_TRUE(window.due());
  EXPECT_EQ(window.take_grant(), limits::kMaxWindow - kImplicit);
}

constexpr Duration kRtt = std::chrono::milliseconds(100);

// Uses the window up once, in `time`, from a good start; what is thought of it then.
ReceiveWindow::Fit used_up_in(Duration time, std::uint32_t target = kImplicit) {
  ReceiveWindow window(target, Time{});
  static_cast<void>(window.take_grant());
  for (int half = 1; half <= 2; ++half) {
    EXPECT_TRUE(window.receive(target / 2));
    window.consume(target / 2);
    EXPECT_TRUE(window.due());
    if (half == 2) break;
    EXPECT_EQ(window.judge(Time{} + time / 2, kRtt), ReceiveWindow::Fit::good);
    EXPECT_EQ(window.take_grant(), target / 2);
  }
  return window.judge(Time{} + time, kRtt);
}

TEST(ReceiveWindow, IsTightForAPeerThatUsesItUpInAFewRoundTrips) {
  using enum ReceiveWindow::Fit;
  for (const std::uint32_t target : {kImplicit, limits::kMaxWindow}) {
    EXPECT_EQ(used_up_in(Duration{0}, target), tight);
    EXPECT_EQ(used_up_in(3 * kRtt, target), tight);
    EXPECT_EQ(used_up_in(3 * kRtt + kRtt / 100, target), good);
    EXPECT_EQ(used_up_in(12 * kRtt, target), good);
  }
}

TEST(ReceiveWindow, IsLooseForOneThatNeedsManyMore) {
  ReceiveWindow window(kImplicit, Time{});
  ASSERT_TRUE(window.receive(kImplicit / 2));
  window.consume(kImplicit / 2);
  EXPECT_EQ(window.judge(Time{} + 13 * kRtt, kRtt), ReceiveWindow::Fit::loose);
  EXPECT_EQ(window.judge(Time{} + std::chrono::years(100), kRtt), ReceiveWindow::Fit::loose);
}

TEST(ReceiveWindow, IsTightWhenThePeerHasNoCreditAndNothingIsHeld) {
  using enum ReceiveWindow::Fit;
  for (const bool taken : {true, false}) {
    ReceiveWindow window(kImplicit, Time{});
    for (int i = 0; i < 16; ++i) {
      ASSERT_TRUE(window.receive(kImplicit / 16));
      if (taken) window.consume(kImplicit / 16);
    }
    if (!taken) window.consume(kImplicit);
    EXPECT_EQ(window.judge(Time{} + 10 * kRtt, kRtt), taken ? tight : good);
  }
}

// However bytes arrive and are taken, what is promised and held never exceeds the target, and a
// sink that takes everything never leaves the peer without credit.
TEST(ReceiveWindow, NeverOverpromisesAndNeverStarves) {
  std::uint32_t x = 12345;
  const auto random = [&](std::uint32_t below) {
    x = x * 1664525 + 1013904223;
    return static_cast<std::uint32_t>((std::uint64_t{x} * below) >> 32);
  };
  ReceiveWindow window(kImplicit, Time{});
  for (int i = 0; i < 100000; ++i) {
    const std::uint32_t n = random(window.promised() + 1);
    ASSERT_TRUE(window.receive(n));
    window.consume(random(2) == 0 ? window.held() : random(window.held() + 1));
    if (window.due()) {
      ASSERT_GT(window.take_grant(), 0u);
    }
    ASSERT_LE(window.promised() + window.held(), kImplicit);
    if (window.held() == 0) {
      ASSERT_GT(window.promised(), 0u);
    }
  }
}

}  // namespace
}  // namespace leat::mux
