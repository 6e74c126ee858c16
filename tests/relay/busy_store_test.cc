// Another process holds the database: `leat token` in a transaction, a backup. The data plane goes
// on at its pace, nothing that was counted is lost, and nobody gets in on a guess.
#include <gtest/gtest.h>

#include "relay/world.h"
#include "store/sqlite.h"

namespace leat::relay {
namespace {

using namespace std::chrono_literals;

class BusyStore : public World {
 protected:
  void configure(Options& options) override { options.plans = {{Plan{.name = "p"}}, "p"}; }
  void SetUp() override {
    World::SetUp();
    other = store::Database::open(dir / "leat.db").value();
  }
  // What the relay runs on, which this test shares: how long it has stood still at most.
  void watch() {
    const Time now = std::chrono::steady_clock::now();
    longest = std::max(longest, now - turned);
    turned = now;
    tick.arm_in(5ms);
  }
  std::unique_ptr<FakeAgent> join() {
    const auto code = control::Credential::code(*relay->info().join_code);
    return std::make_unique<FakeAgent>(
        loop, FakeAgent::Settings{relay->info().listen, *agent_tls, *identity, code, {}});
  }
  std::uint64_t requests() {
    auto statement = other.prepare("SELECT total(requests) FROM usage WHERE length(period) = 10");
    store::Query query(other, *statement);
    return query.step().value() ? static_cast<std::uint64_t>(query.integer(0)) : 0;
  }

  store::Database other;
  Time turned = std::chrono::steady_clock::now();
  Duration longest{};
  net::Timer tick{loop.shard, [this] { watch(); }};
};

TEST_F(BusyStore, HoldsUpNoVisitor) {
  const auto agent_ = online({http()});
  answer_all(*agent_, kHello);
  expect_served();
  ASSERT_TRUE(other.run("BEGIN EXCLUSIVE"));
  turned = std::chrono::steady_clock::now();
  watch();
  for (int i = 0; i < 3; ++i) {
    expect_served();
    // A name that is to be written down, and a credential that is to be made.
    const auto claims = other_agent("key" + std::to_string(i), {http("new" + std::to_string(i))});
    ASSERT_TRUE(until([&] { return claims->settled() || claims->ended(); }));
    ASSERT_EQ(claims->refused().size(), 1u);
    EXPECT_EQ(claims->refused().begin()->second.code, Code::STORE) << "which agents ask again";
    const auto joins = join();
    ASSERT_TRUE(until([&] { return joins->ended(); }));
    EXPECT_EQ(joins->why().code, Code::STORE);
  }
  pass(1s);  // two settlings
  EXPECT_LT(longest, 250ms);
  tick.disarm();
  EXPECT_LT(requests(), 4u);
  ASSERT_TRUE(other.run("ROLLBACK"));
  for (int i = 0; i < 40 && requests() < 4; ++i) pass(100ms);
  EXPECT_EQ(requests(), 4u) << "written at the next turn, once";
  // The code was not used up.
  const auto joins = join();
  ASSERT_TRUE(until([&] { return !joins->issued.empty() || joins->ended(); }));
  EXPECT_FALSE(joins->issued.empty());
}

}  // namespace
}  // namespace leat::relay
