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
  ReceiveWindow window(kImplicit);
  EXPECT_FALSE(window.receive(kImplicit + 1));
  EXPECT_FALSE(window.receive(kMax));
  EXPECT_EQ(window.promised(), kImplicit);
  EXPECT_TRUE(window.receive(kImplicit));
  EXPECT_TRUE(window.receive(0));
  EXPECT_FALSE(window.receive(1));
}

TEST(ReceiveWindow, GrantsHalfAWindowAtATime) {
  ReceiveWindow window(kImplicit);
  ASSERT_TRUE(window.receive(kImplicit));
  EXPECT_FALSE(window.due());
  window.consume(kImplicit / 2 - 1);
  EXPECT_FALSE(window.due());
  window.consume(1);
  EXPECT_TRUE(window.due());
  window.consume(1);  // what accumulates before the frame leaves goes with it
  EXPECT_EQ(window.take_grant(), kImplicit / 2 + 1);
  EXPECT_EQ(window.take_grant(), 0u);
}

TEST(ReceiveWindow, ALargerTargetIsDueAtOnce) {
  ReceiveWindow window(4 * kImplicit);
  EXPECT_TRUE(window.due());
  EXPECT_EQ(window.take_grant(), 3 * kImplicit);
  EXPECT_EQ(window.promised(), 4 * kImplicit);
}

TEST(ReceiveWindow, ShrinksByWithholding) {
  ReceiveWindow window(4 * kImplicit);
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
  ReceiveWindow window(kImplicit);
  window.set_target(limits::kMaxWindow);
  EXPECT_TRUE(window.due());
  EXPECT_EQ(window.take_grant(), limits::kMaxWindow - kImplicit);
}

// However bytes arrive and are taken, what is promised and held never exceeds the target, and a
// sink that takes everything never leaves the peer without credit.
TEST(ReceiveWindow, NeverOverpromisesAndNeverStarves) {
  std::uint32_t x = 12345;
  const auto random = [&](std::uint32_t below) {
    x = x * 1664525 + 1013904223;
    return static_cast<std::uint32_t>((std::uint64_t{x} * below) >> 32);
  };
  ReceiveWindow window(kImplicit);
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
