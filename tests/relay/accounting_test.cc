// Accounts by themselves: a real database, a clock of the test's.
#include "relay/accounting.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "base/crypto_util.h"
#include "net/loop.h"
#include "support/temp_dir.h"

namespace leat::relay {
namespace {

TEST(Traffic, AllIsThatOfEveryKind) {
  using control::TunnelKind;
  Metrics metrics;
  std::uint64_t n = 1;
  for (const TunnelKind kind :
       {TunnelKind::http, TunnelKind::ws, TunnelKind::tcp, TunnelKind::tls, TunnelKind::sealed}) {
    metrics.of(kind) = {n, 10 * n, 100 * n};
    n *= 2;
  }
  EXPECT_EQ(metrics.all().streams, 31u);
  EXPECT_EQ(metrics.all().in, 310u);
  EXPECT_EQ(metrics.all().out, 3100u);
}

using net::Meter;
using namespace std::chrono_literals;

WallTime at(int day, std::chrono::microseconds time_of_day = 0us) {
  return std::chrono::sys_days(std::chrono::year(2026) / 11 / day) + time_of_day;
}

class Accounts : public ::testing::Test {
 protected:
  Plan plan() {
    return {.name = "p",
            .requests_per_minute = 60,
            .bytes_per_second = {},
            .bytes_per_day = 1000,
            .bytes_per_month = 2500};
  }
  std::unique_ptr<Accounting> start(Plan limits) {
    return std::make_unique<Accounting>(loop.shard, *store, Plans{{std::move(limits)}, "p"},
                                        [this] { return now; });
  }
  static store::TokenInfo owner(const std::string& name = "ann") {
    store::TokenInfo info;
    info.name = name;
    return info;
  }
  // Moves as many bytes as the account allows, at most n.
  std::uint64_t move(Account& account, std::uint64_t n) {
    const std::uint64_t allowed = std::min(n, account.allowance(now));
    account.moved(Meter::Direction::out, allowed, now);
    return allowed;
  }

  net::Loop loop;
  const test::TempDir dir;
  std::unique_ptr<store::Store> store = store::Store::open(dir / "leat.db").value();
  WallTime now = at(21, 12h);
};

TEST_F(Accounts, ALimitHoldsToTheByteAndResetsWithTheDay) {
  const auto accounting = start(plan());
  const auto account = accounting->account(owner()).value();
  EXPECT_EQ(move(*account, 999), 999u);
  EXPECT_EQ(account->spent(), std::nullopt);
  EXPECT_EQ(move(*account, 10), 1u);
  EXPECT_EQ(account->spent(), Code::QUOTA_DAY);
  EXPECT_EQ(account->begin_stream(now), Code::QUOTA_DAY);
  EXPECT_EQ(account->resets_in(Code::QUOTA_DAY, now), 12h);
  now = at(22, 1s);
  accounting->settle();
  EXPECT_EQ(account->spent(), std::nullopt);
  EXPECT_EQ(move(*account, 5000), 1000u);
  now = at(23, 1s);
  accounting->settle();
  EXPECT_EQ(move(*account, 5000), 500u) << "what is left of the month";
  EXPECT_EQ(account->spent(), Code::QUOTA_MONTH);
  EXPECT_EQ(account->resets_in(Code::QUOTA_MONTH, now), 8 * 24h - 1s);
  EXPECT_EQ(store->usage("ann", "2026-11-21").value().bytes_out, 1000u);
  accounting->settle();
  EXPECT_EQ(store->usage("ann", "2026-11").value().bytes_out, 2500u);
}

TEST_F(Accounts, WhatWasUsedSurvivesARestart) {
  auto accounting = start(plan());
  auto account = accounting->account(owner()).value();
  for (int i = 0; i < 60; ++i) EXPECT_EQ(account->begin_stream(now), std::nullopt) << i;
  EXPECT_EQ(account->begin_stream(now), Code::QUOTA_REQUESTS);
  move(*account, 400);
  account.reset();
  accounting.reset();
  accounting = start(plan());
  account = accounting->account(owner()).value();
  EXPECT_EQ(account->begin_stream(now), Code::QUOTA_REQUESTS) << "a restart fills no bucket";
  EXPECT_EQ(account->resets_in(Code::QUOTA_REQUESTS, now), 1s);
  now += 1s;
  EXPECT_EQ(account->begin_stream(now), std::nullopt);
  EXPECT_EQ(account->begin_stream(now), Code::QUOTA_REQUESTS);
  EXPECT_EQ(move(*account, 5000), 600u);
  EXPECT_EQ(account->day().requests, 61u);
}

TEST_F(Accounts, MessagesAreCountedEachWayAndSurviveARestart) {
  const Plan limits{
      .name = "p", .visitor_messages_per_minute = 30, .agent_messages_per_minute = 120};
  auto accounting = start(limits);
  auto account = accounting->account(owner()).value();
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(account->begin_message(Meter::Direction::in, now), std::nullopt);
  EXPECT_EQ(account->begin_message(Meter::Direction::in, now), Code::QUOTA_MESSAGES);
  for (int i = 0; i < 120; ++i)
    EXPECT_EQ(account->begin_message(Meter::Direction::out, now), std::nullopt);
  EXPECT_EQ(account->begin_message(Meter::Direction::out, now), Code::QUOTA_MESSAGES);
  EXPECT_EQ(account->resets_in(Code::QUOTA_MESSAGES, now), 2s) << "a visitor's";
  account->moved(Meter::Direction::in, 1, now);
  account.reset();
  accounting.reset();
  accounting = start(limits);
  account = accounting->account(owner()).value();
  EXPECT_EQ(account->begin_message(Meter::Direction::in, now), Code::QUOTA_MESSAGES);
  EXPECT_EQ(account->begin_message(Meter::Direction::out, now), Code::QUOTA_MESSAGES);
  now += 500ms;
  EXPECT_EQ(account->begin_message(Meter::Direction::out, now), std::nullopt);
  now += 1500ms;
  EXPECT_EQ(account->begin_message(Meter::Direction::in, now), std::nullopt);
  EXPECT_EQ(account->begin_message(Meter::Direction::in, now), Code::QUOTA_MESSAGES);
}

TEST_F(Accounts, AnAgentIsToldOfALimitOnceAMinute) {
  const auto accounting = start(plan());
  const auto account = accounting->account(owner()).value();
  std::vector<Code> told;
  accounting->on_limit = [&](const Account&, Code code) { told.push_back(code); };
  for (int i = 0; i < 5; ++i) accounting->refused(*account, Code::QUOTA_REQUESTS);
  accounting->refused(*account, Code::QUOTA_STREAMS);
  EXPECT_EQ(told, (std::vector{Code::QUOTA_REQUESTS, Code::QUOTA_STREAMS}));
  now += 61s;
  accounting->refused(*account, Code::QUOTA_REQUESTS);
  EXPECT_EQ(told.size(), 3u);
}

TEST_F(Accounts, OwnersAreCountedApart) {
  const auto accounting = start(plan());
  const auto ann = accounting->account(owner("ann")).value(),
             bob = accounting->account(owner("bob")).value();
  EXPECT_EQ(move(*ann, 5000), 1000u);
  EXPECT_EQ(move(*bob, 10), 10u);
  EXPECT_EQ(accounting->account(owner("ann")).value(), ann) << "all agents of an owner share one";
}

TEST_F(Accounts, AClockThatJumpsBackKeepsNobodyOut) {
  const auto accounting = start(plan());
  const auto account = accounting->account(owner()).value();
  for (int i = 0; i < 60; ++i) EXPECT_EQ(account->begin_stream(now), std::nullopt);
  now -= 24h;
  EXPECT_EQ(account->begin_stream(now), Code::QUOTA_REQUESTS);
  EXPECT_LE(account->resets_in(Code::QUOTA_REQUESTS, now), 60s);
  now += 61s;
  EXPECT_EQ(account->begin_stream(now), Code::QUOTA_REQUESTS)
      << "the bucket is as full as it gets until the clock has caught up";
}

TEST_F(Accounts, AFullDiskLosesNothingAndStopsNobody) {
  const auto accounting = start({.name = "p"});
  const auto account = accounting->account(owner()).value();
  move(*account, 100);
  accounting->settle();
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &none);
  EXPECT_EQ(move(*account, 200), 200u);
  accounting->settle();
  now = at(22, 1s);
  accounting->settle();
  EXPECT_EQ(account->day().bytes_out, 0u) << "a new day begins all the same";
  EXPECT_EQ(move(*account, 50), 50u);
  accounting->settle();
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(store->usage("ann", "2026-11-21").value().bytes_out, 100u);
  accounting->settle();
  EXPECT_EQ(store->usage("ann", "2026-11-21").value().bytes_out, 300u);
  EXPECT_EQ(store->usage("ann", "2026-11-22").value().bytes_out, 50u);
  EXPECT_EQ(store->usage("ann", "2026-11").value().bytes_out, 350u);
}

// What a killed relay has written is never more than was used, nor less than what was used before
// its last settling; no counter is negative.
TEST_F(Accounts, AKilledRelayLosesOnlyWhatItHadNotSettled) {
  const std::uint64_t seed = random_u64();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::uint64_t settled_before = 0;
  for (int round = 0; round < 20; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const std::uint64_t steps = 1 + random() % 40;
    const pid_t child = ::fork();
    if (child == 0) {
      auto own = store::Store::open(dir / "leat.db").value();
      Accounting accounting(loop.shard, *own, {}, [this] { return now; });
      const auto account = accounting.account(owner()).value();
      std::uint64_t used = 0, settled = 0;
      for (std::uint64_t i = 0; i < steps; ++i) {
        account->moved(Meter::Direction::in, 7, now);
        used += 7;
        if (random() % 3 == 0) {
          accounting.settle();
          settled = used;
        }
        const std::uint64_t said[2] = {used, settled};
        if (::write(pipe_ends[1], said, sizeof said) != sizeof said) ::_exit(1);
      }
      ::kill(::getpid(), SIGKILL);
    }
    ::close(pipe_ends[1]);
    std::uint64_t said[2] = {}, last[2] = {};
    while (::read(pipe_ends[0], said, sizeof said) == sizeof said) std::copy_n(said, 2, last);
    ::close(pipe_ends[0]);
    ::waitpid(child, nullptr, 0);
    const std::uint64_t written = store->usage("ann", "2026-11-21").value().bytes_in;
    ASSERT_EQ(written - settled_before, last[1]) << "round " << round;
    ASSERT_LE(last[1], last[0]);
    settled_before = written;
  }
}

TEST_F(Accounts, AHeldBackStreamIsWokenWhenItsPaceAllows) {
  const auto accounting = start({.name = "p", .bytes_per_second = 1000});
  const auto account = accounting->account(owner()).value();
  ASSERT_EQ(account->begin_stream(now), std::nullopt);
  int woken = 0;
  Traffic traffic;
  StreamMeter meter(*accounting, account, traffic, [&] {
    ++woken;
    loop.poke();
  });
  EXPECT_EQ(meter.allow(5000), 1000u);
  meter.moved(Meter::Direction::in, 1000);
  EXPECT_EQ(meter.allow(5000), 0u);
  EXPECT_EQ(meter.refused(), std::nullopt) << "only held back";
  ASSERT_TRUE(loop.run([&] { return woken == 1; }, 5s));
  now += 100ms;
  EXPECT_EQ(meter.allow(5000), 100u);
}

TEST_F(Accounts, PlansMayChangeWhileTheyAreUsed) {
  const auto accounting = start(plan());
  const auto account = accounting->account(owner()).value();
  EXPECT_EQ(move(*account, 5000), 1000u);
  accounting->set_plans({{Plan{.name = "p", .bytes_per_day = 1500}}, "p"});
  EXPECT_EQ(move(*account, 5000), 500u);
  accounting->set_plans({});
  EXPECT_EQ(move(*account, 5000), 5000u);
}

}  // namespace
}  // namespace leat::relay
