// The emulated path in numbers: delay, rate and queue, and shares of loss and reordering.
#include "link/emulator.h"

#include <gtest/gtest.h>

#include <vector>

namespace leat::bench {
namespace {

constexpr std::int64_t kMs = 1'000'000;

TEST(Path, DelaysEveryPacketAlike) {
  Path path({.delay_ms = 20});
  EXPECT_EQ(path.pass(5 * kMs, 1500), 25 * kMs);
  EXPECT_EQ(path.pass(5 * kMs, 40), 25 * kMs);
}

TEST(Path, ABottleneckSpacesPacketsAndDropsWhatItsQueueDoesNotHold) {
  Path path({.rate_mbit = 12, .queue_ms = 10});  // 1500 bytes are 1 ms
  for (int i = 1; i <= 11; ++i) EXPECT_EQ(path.pass(0, 1500), i * kMs);
  EXPECT_EQ(path.pass(0, 1500), std::nullopt);
  EXPECT_EQ(path.counts().dropped, 1u);
  EXPECT_EQ(path.pass(5 * kMs, 1500), 12 * kMs);
  EXPECT_EQ(path.pass(100 * kMs, 1500), 101 * kMs);  // what it did not send it does not catch up
}

TEST(Path, LosesAndReordersItsShare) {
  Path path({.loss = 0.01, .reorder = 0.1, .seed = 4});
  int lost = 0, late = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto leaves = path.pass(0, 1000);
    if (!leaves) {
      ++lost;
    } else if (*leaves > 0) {
      ++late;
    }
  }
  EXPECT_NEAR(lost, 1000, 150);
  EXPECT_NEAR(late, 9900, 500);
  EXPECT_EQ(path.counts().lost, static_cast<std::uint64_t>(lost));
  EXPECT_EQ(path.counts().reordered, static_cast<std::uint64_t>(late));
}

TEST(Path, ASeedRepeatsItsLosses) {
  const auto losses = [](std::uint64_t seed) {
    Path path({.loss = 0.5, .seed = seed});
    std::vector<bool> out;
    for (int i = 0; i < 64; ++i) out.push_back(path.pass(0, 100).has_value());
    return out;
  };
  EXPECT_EQ(losses(1), losses(1));
  EXPECT_NE(losses(1), losses(2));
}

}  // namespace
}  // namespace leat::bench
