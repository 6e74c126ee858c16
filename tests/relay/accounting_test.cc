// Accounts by themselves: a real database, a clock of the test's.
#include "relay/accounting.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <random>

#include "base/crypto_util.h"
#include "net/loop.h"
#include "store/sqlite.h"
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

TEST_F(Accounts, APaceOfBytesSurvivesARestart) {
  const Plan limits{.name = "p", .bytes_per_second = 1000};
  auto accounting = start(limits);
  EXPECT_EQ(move(*accounting->account(owner()).value(), 5000), 1000u);
  accounting.reset();
  accounting = start(limits);
  const auto account = accounting->account(owner()).value();
  EXPECT_EQ(move(*account, 5000), 0u) << "a restart fills no bucket";
  now += 100ms;
  EXPECT_EQ(move(*account, 5000), 100u);
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
  accounting->on_limit = [&](const std::shared_ptr<Account>&, Code code) { told.push_back(code); };
  for (int i = 0; i < 5; ++i) accounting->refused(*account, Code::QUOTA_REQUESTS);
  accounting->refused(*account, Code::QUOTA_STREAMS);
  EXPECT_EQ(told, (std::vector{Code::QUOTA_REQUESTS, Code::QUOTA_STREAMS}));
  now += 61s;
  accounting->refused(*account, Code::QUOTA_REQUESTS);
  EXPECT_EQ(told.size(), 3u);
}

TEST_F(Accounts, DaysAreKeptForAQuarterAndMonthsForEver) {
  const auto accounting = start({.name = "p"});
  const auto account = accounting->account(owner()).value();
  move(*account, 100);
  accounting->settle();
  now += 92 * 24h;
  accounting->settle();
  EXPECT_EQ(store->usages("ann").value().size(), 2u);
  now += 24h;
  accounting->settle();
  const auto rows = store->usages("ann").value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].period, "2026-11");
}

TEST_F(Accounts, AnOwnerMayBeGivenAnotherPlan) {
  Plan more = plan();
  more.name = "more";
  more.bytes_per_day = 2000;
  Accounting accounting(loop.shard, *store, Plans{{plan(), more}, "p"}, [this] { return now; });
  ASSERT_TRUE(store->create_token("ann", "p"));
  const auto account = accounting.account(owner()).value();
  EXPECT_EQ(move(*account, 5000), 1000u);
  ASSERT_TRUE(store->set_plan("ann", "more"));
  accounting.look_at_owners();
  EXPECT_EQ(move(*account, 5000), 1000u) << "what was used stays used";
  ASSERT_TRUE(store->set_plan("ann", ""));
  accounting.look_at_owners();
  EXPECT_EQ(account->plan()->name, "p");
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

// What the database cannot say, or has not been told, is no gift either.
TEST_F(Accounts, AClockThatJumpsBackForgivesNothing) {
  const auto accounting = start(plan());
  const auto account = accounting->account(owner()).value();
  EXPECT_EQ(move(*account, 400), 400u);
  accounting->settle();
  auto other = store::Database::open(dir / "leat.db").value();
  ASSERT_TRUE(other.run("BEGIN IMMEDIATE"));
  EXPECT_EQ(move(*account, 300), 300u) << "which is not written";
  now = at(22, 1s);
  accounting->settle();
  EXPECT_EQ(move(*account, 10), 10u);
  now = at(21, 13h);
  accounting->settle();
  EXPECT_EQ(account->day().bytes_out, 700u);
  EXPECT_EQ(move(*account, 5000), 300u);
  ASSERT_TRUE(other.run("ROLLBACK"));
  accounting->settle();

  ASSERT_TRUE(other.run("ALTER TABLE usage RENAME TO hidden"));
  now = at(20);
  accounting->settle();
  EXPECT_EQ(account->spent(), Code::QUOTA_DAY) << "nobody can say what was used that day";
  now = at(22);
  accounting->settle();
  EXPECT_EQ(account->spent(), std::nullopt) << "a day that comes is a new one";
  EXPECT_EQ(move(*account, 200), 200u) << "which cannot be written either";
  now = at(21);
  accounting->settle();
  now = at(22, 1s);
  accounting->settle();
  EXPECT_EQ(account->day().bytes_out, 200u) << "and is not forgotten for that";
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

// --- owners that come and go ---

TEST_F(Accounts, WhoIsAwayIsForgottenAndFindsItsNumbersAgain) {
  const auto accounting = start(plan());
  const auto ann = accounting->account(owner("ann")).value();
  {
    const auto bob = accounting->account(owner("bob")).value();
    for (int i = 0; i < 60; ++i) EXPECT_EQ(bob->begin_stream(now), std::nullopt) << i;
    move(*bob, 400);
  }
  accounting->settle();
  now += 61s;
  accounting->settle();
  EXPECT_EQ(accounting->owners(), 2u) << "idle for the first time";
  EXPECT_EQ(accounting->account(owner("bob")).value()->day().requests, 60u);
  now += 61s;
  accounting->settle();
  EXPECT_EQ(accounting->owners(), 2u) << "somebody asked meanwhile";
  now += 61s;
  accounting->settle();
  EXPECT_EQ(accounting->owners(), 1u) << "an agent holds ann's";
  const auto bob = accounting->account(owner("bob")).value();
  EXPECT_EQ(bob->day().requests, 60u);
  EXPECT_EQ(move(*bob, 5000), 600u);
  EXPECT_EQ(accounting->account(owner("ann")).value(), ann);
}

TEST_F(Accounts, WhoseUsageIsNotWrittenIsNotForgotten) {
  const auto accounting = start({.name = "p"});
  move(*accounting->account(owner()).value(), 100);
  auto other = store::Database::open(dir / "leat.db").value();
  ASSERT_TRUE(other.run("BEGIN IMMEDIATE"));
  for (int i = 0; i < 4; ++i) {
    now += 61s;
    accounting->settle();
  }
  EXPECT_EQ(accounting->account(owner()).value()->day().bytes_out, 100u);
  EXPECT_EQ(store->usage("ann", "2026-11-21").value().bytes_out, 0u);
  ASSERT_TRUE(other.run("ROLLBACK"));
  accounting->settle();
  EXPECT_EQ(store->usage("ann", "2026-11-21").value().bytes_out, 100u);
}

// What lies idle costs nothing twice a second.
TEST_F(Accounts, SettlingLooksAtThoseThatChanged) {
#ifdef LEAT_SANITIZED
  constexpr int kOwners = 1000;
#else
  constexpr int kOwners = 5000;
#endif
  const auto accounting = start({.name = "p"});
  std::vector<std::shared_ptr<Account>> live;
  for (int i = 0; i < kOwners; ++i) {
    live.push_back(accounting->account(owner(std::to_string(i))).value());
  }
  accounting->settle();
  const std::clock_t began = std::clock();
  for (int i = 0; i < 1000; ++i) accounting->settle();
  EXPECT_LT(std::clock() - began, CLOCKS_PER_SEC / 4);
  live[0]->moved(Meter::Direction::in, 7, now);
  accounting->settle();
  EXPECT_EQ(store->usage("0", "2026-11-21").value().bytes_in, 7u);
}

// Owners, some of whom are served, use what they may, while days pass, another process holds the
// database now and then, and the relay is started anew. Nobody can tell which of them are in
// memory: each account says what the model says, and in the end the database does.
TEST_F(Accounts, ForgettingLosesAndGivesNothing) {
  const std::uint64_t seed = random_u64();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const Plan limits{.name = "p", .requests_per_minute = 20};
  struct Model {
    std::shared_ptr<Account> held;
    Pace requests;
    std::map<std::string, std::uint64_t> bytes, counts;  // by period
  };
  std::map<std::string, Model> owners;
  for (const char* name : {"ann", "bob", "cleo", "dan", "eve", "fay"}) {
    owners[name].requests.set(20, 20.0 / 60);
  }
  auto accounting = start(limits);
  auto other = store::Database::open(dir / "leat.db").value();
  bool busy = false;
  const auto let_go = [&] {
    if (std::exchange(busy, false)) {
      ASSERT_TRUE(other.run("ROLLBACK"));
    }
  };
  std::size_t fewest = owners.size();
  for (int step = 0; step < 3000; ++step) {
    const auto chosen = std::next(owners.begin(), static_cast<int>(random() % owners.size()));
    const std::string& name = chosen->first;
    Model& model = chosen->second;
    // As the relay counts them: a day begins with the next settling.
    const auto count = [&](const Account& account, std::uint64_t bytes, std::uint64_t requests) {
      for (const std::string& period : {account.day_name(), account.month_name()}) {
        model.bytes[period] += bytes;
        model.counts[period] += requests;
      }
    };
    switch (random() % 10) {
      case 0:
        model.held = nullptr;
        break;
      case 1:
        model.held = accounting->account(owner(name)).value();
        break;
      case 2:
      case 3:
      case 4: {
        const auto account = accounting->account(owner(name)).value();
        ASSERT_EQ(account->day().bytes_out, model.bytes[account->day_name()]) << name << step;
        ASSERT_EQ(account->month().requests, model.counts[account->month_name()]) << name << step;
        const std::uint64_t n = random() % 100'000;
        account->moved(Meter::Direction::out, n, now);
        count(*account, n, 0);
        for (std::uint64_t i = random() % 15; i > 0; --i) {
          const bool allowed = model.requests.available(now) > 0;
          ASSERT_EQ(!account->begin_stream(now), allowed) << name << " at step " << step;
          if (!allowed) break;
          account->end_stream();
          model.requests.take(1, now);
          count(*account, 0, 1);
        }
        break;
      }
      case 5:
      case 6:
      case 7:
        now += std::chrono::seconds(random() % 50);
        accounting->settle();
        break;
      case 8:
        if (busy) {
          let_go();
        } else {
          busy = other.run("BEGIN IMMEDIATE").has_value();
        }
        break;
      case 9:
        if (random() % 20 == 0) now += 24h;
        if (random() % 20 != 0) break;
        let_go();
        for (auto& [_, each] : owners) each.held = nullptr;
        accounting.reset();
        accounting = start(limits);
        break;
    }
    fewest = std::min(fewest, accounting->owners());
  }
  EXPECT_LT(fewest, owners.size()) << "somebody was forgotten";
  let_go();
  accounting->settle();
  for (const auto& [name, model] : owners) {
    for (const auto& [period, bytes] : model.bytes) {
      EXPECT_EQ(store->usage(name, period).value().bytes_out, bytes) << name << " in " << period;
    }
    for (const auto& [period, requests] : model.counts) {
      EXPECT_EQ(store->usage(name, period).value().requests, requests) << name << " in " << period;
    }
  }
}

TEST_F(Accounts, AHeldBackStreamIsWokenWhenItsPaceAllows) {
  const auto accounting = start({.name = "p", .bytes_per_second = 1000});
  const auto account = accounting->account(owner()).value();
  ASSERT_EQ(account->begin_stream(now), std::nullopt);
  int woken = 0;
  Traffic traffic;
  HeldBack held_back(loop.shard);
  StreamMeter meter(*accounting, held_back, account, traffic, [&] {
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
