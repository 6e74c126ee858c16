#include "mux/abuse_guard.h"

#include <gtest/gtest.h>

namespace leat::mux {
namespace {

using namespace std::chrono_literals;

TEST(TokenBucket, AllowsItsBurstAndThenItsRate) {
  TokenBucket bucket({.burst = 10, .per_second = 5});
  Time now{};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(bucket.take(1, now)) << i;
  EXPECT_FALSE(bucket.take(1, now));
  EXPECT_FALSE(bucket.take(1, now + 199ms));
  EXPECT_TRUE(bucket.take(1, now + 200ms));
  EXPECT_FALSE(bucket.take(1, now + 200ms));
  EXPECT_FALSE(bucket.take(11, now + 1h));  // never more than the burst
  EXPECT_TRUE(bucket.take(10, now + 1h));
}

TEST(TokenBucket, ARefusalCostsNothing) {
  TokenBucket bucket({.burst = 2, .per_second = 1});
  const Time now = Time{} + 5s;
  EXPECT_FALSE(bucket.take(3, now));
  EXPECT_TRUE(bucket.take(2, now));
}

TEST(TokenBucket, TimeMayStandStill) {
  TokenBucket bucket({.burst = 100, .per_second = 1});
  int taken = 0;
  for (int i = 0; i < 1000; ++i) taken += bucket.take(1, Time{}) ? 1 : 0;
  EXPECT_EQ(taken, 100);
}

TEST(AbuseGuard, CountsEachKindForItself) {
  AbuseGuard guard({.opens = {1, 1}, .resets = {2, 1}, .pings = {3, 1}, .waste = {64 * 4, 1}});
  const Time now{};
  EXPECT_TRUE(guard.open(now));
  EXPECT_FALSE(guard.open(now));
  EXPECT_TRUE(guard.reset(now) && guard.reset(now));
  EXPECT_FALSE(guard.reset(now));
  EXPECT_TRUE(guard.ping(now) && guard.ping(now) && guard.ping(now));
  EXPECT_FALSE(guard.ping(now));
  EXPECT_TRUE(guard.frame(0, now) && guard.frame(0, now) && guard.frame(0, now));
  EXPECT_TRUE(guard.frame(1, now));
  EXPECT_FALSE(guard.frame(1, now));  // 63 of the last 64 are gone
  EXPECT_TRUE(guard.frame(63, now));
  EXPECT_FALSE(guard.frame(63, now));
}

TEST(AbuseGuard, FramesThatCarryTheirWeightAreFree) {
  AbuseGuard guard({.waste = {64, 1}});
  for (int i = 0; i < 100000; ++i) ASSERT_TRUE(guard.frame(64, Time{}));
  for (int i = 0; i < 100000; ++i) ASSERT_TRUE(guard.frame(0xffffffff, Time{}));
}

}  // namespace
}  // namespace leat::mux
