#include "base/one_time_code.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace leat {
namespace {

using State = OneTimeCode::State;

constexpr std::int64_t kNow = 1'000'000'000;
constexpr Sha256 kRight{1}, kWrong{2};

OneTimeCode code() { return {.hash = kRight, .ends = kNow + 600}; }

TEST(OneTimeCode, SecretsHave128BitsAndAreNotAlike) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const Secret secret = OneTimeCode::make_secret();
    EXPECT_EQ(secret.reveal().size(), 16u);
    seen.emplace(secret.reveal());
  }
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(OneTimeCode, IsRedeemedOnceAndThenHoldsNothing) {
  OneTimeCode one = code();
  EXPECT_EQ(one.state(kNow), State::good);
  EXPECT_TRUE(one.redeem(kRight, kNow));
  EXPECT_EQ(one.state(kNow), State::used);
  EXPECT_EQ(one.state(one.ends), State::used) << "what became of it outlives its time";
  EXPECT_FALSE(one.redeem(kRight, kNow));
  EXPECT_FALSE(one.redeem(Sha256{}, kNow)) << "what stands in the place of the hash opens nothing";
  EXPECT_EQ(one.hash, Sha256{});
  EXPECT_EQ(one.tries, 0);
}

TEST(OneTimeCode, FiveTriesEndIt) {
  OneTimeCode one = code();
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(one.redeem(kWrong, kNow));
  EXPECT_EQ(one.state(kNow), State::good) << "four are forgiven";
  one.fail();
  EXPECT_EQ(one.state(kNow), State::over);
  EXPECT_FALSE(one.redeem(kRight, kNow));
  one.fail();
  EXPECT_EQ(one.tries, OneTimeCode::kTries);
  EXPECT_FALSE(one.used);
}

TEST(OneTimeCode, RunsOut) {
  OneTimeCode one = code();
  EXPECT_EQ(one.state(one.ends - 1), State::good);
  EXPECT_EQ(one.state(one.ends), State::over);
  EXPECT_EQ(one.use(one.ends), State::over);
  EXPECT_FALSE(one.redeem(kWrong, one.ends));
  EXPECT_EQ(one.tries, 0) << "a try of what is over is none";
  EXPECT_EQ(one.use(one.ends - 1), State::good);
  EXPECT_EQ(one.use(one.ends - 1), State::used);
}

TEST(OneTimeCode, AHashThatDiffersInOneBitIsWrong) {
  for (std::size_t bit = 0; bit < 256; ++bit) {
    OneTimeCode one = code();
    Sha256 near = kRight;
    near[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    EXPECT_FALSE(one.redeem(near, kNow)) << bit;
    EXPECT_EQ(one.tries, 1);
  }
}

}  // namespace
}  // namespace leat
