// What a client says about its window: only what belongs to the window counts, and what is missing
// is a fault and not a better figure.
#include "load/report.h"

#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <vector>

namespace leat::bench {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr Window kWindow{.from = 1000 * kMs, .to = 5000 * kMs};

// A token every 20 ms, due from the window's begin to `until` (ms), each `delay` ms on its way.
std::shared_ptr<TokenLog> tokens(std::int64_t until, std::int64_t delay) {
  auto log = std::make_shared<TokenLog>();
  for (std::int64_t at = 1000; at < until; at += 20) {
    log->seen.push_back({log->seen.size(), at * kMs, (at + delay) * kMs});
  }
  return log;
}

Json token_json(const TokenLogs& logs, Faults& faults, std::ostream* trace = nullptr) {
  return token_report(logs, kWindow, {.every_ms = 20, .bytes = 100}, "tokens", trace, faults);
}

TEST(BulkReport, CountsWhatTheWindowSaw) {
  std::vector<Stream> streams(2);
  streams[0].at_start = 1'000'000;
  streams[0].at_end = 9'000'000;
  streams[1].at_end = 8'000'000;
  Faults faults;
  const Json out = bulk_report(streams, kWindow, "download", faults);
  EXPECT_DOUBLE_EQ(out["MB_per_s"], 4);
  EXPECT_DOUBLE_EQ(out["jain"], 1);
  EXPECT_TRUE(faults.empty());
}

TEST(BulkReport, AWrongByteAndAnEarlyEndAreFaults) {
  std::vector<Stream> streams(2);
  streams[0].progress->broken = true;
  streams[1].progress->ended = true;
  Faults faults;
  bulk_report(streams, kWindow, "upload", faults);
  EXPECT_EQ(faults, (Faults{"upload 0: a byte was wrong", "upload 1: ended early"}));
}

TEST(TokenReport, DelaysAreOfTheWindowAndGapsBetweenArrivals) {
  const auto log = tokens(5100, 5);
  log->seen.insert(log->seen.begin(), {0, 900 * kMs, 990 * kMs});  // of the warm-up
  log->seen[10].received_ns += 30 * kMs;
  Faults faults;
  std::ostringstream trace;
  const Json out = token_json({log}, faults, &trace);
  EXPECT_TRUE(faults.empty());
  EXPECT_EQ(out["missing"], 0);
  EXPECT_EQ(out["delay_ms"]["count"], 200);
  EXPECT_DOUBLE_EQ(out["delay_ms"]["p50"], 5);
  EXPECT_DOUBLE_EQ(out["delay_ms"]["max"], 35);
  EXPECT_DOUBLE_EQ(out["gap_ms"]["max"], 50);
  EXPECT_NE(trace.str().find("tokens,0,0,-0.1,90\n"), std::string::npos) << trace.str();
}

TEST(TokenReport, WhatDidNotComeIsMissing) {
  Faults faults;
  EXPECT_EQ(token_json({tokens(4000, 5)}, faults)["missing"], 51);  // the last was due at 3980
  EXPECT_EQ(faults, Faults{"tokens: 51 not received in time"});
  faults.clear();
  EXPECT_EQ(token_json({std::make_shared<TokenLog>()}, faults)["missing"], 200);
  EXPECT_EQ(faults, Faults{"tokens: 200 not received in time"});
  faults.clear();
  EXPECT_EQ(token_json({tokens(5000, 5)}, faults)["missing"], 0);
  EXPECT_TRUE(faults.empty());
}

TEST(TokenReport, AWrongTokenAndAnEarlyEndAreFaults) {
  const auto log = tokens(5100, 5);
  log->broken = log->ended = true;
  Faults faults;
  token_json({log}, faults);
  EXPECT_EQ(faults, (Faults{"tokens 0: a token was wrong", "tokens 0: ended early"}));
}

TEST(PingReport, TripsOfTheWindow) {
  auto log = std::make_shared<TokenLog>();
  log->seen = {{0, 900 * kMs, 990 * kMs}, {1, 1000 * kMs, 1002 * kMs}, {2, 4990 * kMs, 4996 * kMs}};
  Faults faults;
  const Json out = ping_report({log}, kWindow, faults);
  EXPECT_TRUE(faults.empty());
  EXPECT_EQ(out["round_trip_ms"]["count"], 2);
  EXPECT_DOUBLE_EQ(out["round_trip_ms"]["max"], 6);
}

TEST(PingReport, OneThatIsNoLongerAnsweredIsAFault) {
  for (const std::int64_t last : {3499, 3500}) {  // ms; 1.5 s before the end
    auto log = std::make_shared<TokenLog>();
    log->seen = {{0, 1000 * kMs, last * kMs}};
    Faults faults;
    ping_report({log}, kWindow, faults);
    EXPECT_EQ(faults.size(), last == 3499 ? 1u : 0u) << last;
  }
  Faults faults;
  ping_report({std::make_shared<TokenLog>()}, kWindow, faults);
  EXPECT_EQ(faults, Faults{"ping: one was not answered"});
  faults.clear();
  auto ended = std::make_shared<TokenLog>();
  ended->ended = true;
  ping_report({ended}, kWindow, faults);
  EXPECT_EQ(faults, Faults{"ping: broken or ended early"});
}

TEST(CallReport, RateAndTimesOfTheWindow) {
  auto log = std::make_shared<CallLog>();
  log->seen = {
      {0, 999 * kMs, 1000 * kMs}, {1, 1000 * kMs, 1004 * kMs}, {2, 4000 * kMs, 4008 * kMs}};
  Faults faults;
  const Json out = call_report({log}, kWindow, "connect", faults);
  EXPECT_TRUE(faults.empty());
  EXPECT_DOUBLE_EQ(out["per_s"], 0.5);
  EXPECT_DOUBLE_EQ(out["took_ms"]["max"], 8);
}

TEST(CallReport, ASlotThatStandsStillIsAFault) {
  auto never = std::make_shared<CallLog>(), failed = std::make_shared<CallLog>(),
       late = std::make_shared<CallLog>(), good = std::make_shared<CallLog>();
  failed->error = "a wrong answer";
  late->seen = {{0, 1000 * kMs, 3000 * kMs}};
  good->seen = {{0, 1000 * kMs, 4999 * kMs}};
  Faults faults;
  call_report({never, failed, late, good}, kWindow, "connect", faults);
  EXPECT_EQ(faults, (Faults{"connect: one was not answered", "connect: a wrong answer",
                            "connect: one was not answered"}));
}

}  // namespace
}  // namespace leat::bench
