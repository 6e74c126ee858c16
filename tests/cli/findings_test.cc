#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/doctor.h"
#include "cli/relay_date.h"

namespace leat::cli {
namespace {

using testing::HasSubstr;
using Level = Finding::Level;
using namespace std::chrono_literals;

TEST(Findings, AClockMayBeAMinuteOff) {
  EXPECT_EQ(clock_finding(0s).level, Level::ok);
  EXPECT_EQ(clock_finding(59s).level, Level::ok);
  EXPECT_EQ(clock_finding(-59s).level, Level::ok);
  const Finding ahead = clock_finding(24h);
  EXPECT_EQ(ahead.level, Level::fault);
  EXPECT_EQ(ahead.code, "LEAT_CLOCK");
  EXPECT_THAT(ahead.text, HasSubstr("86400 s ahead"));
  EXPECT_THAT(clock_finding(-60s).text, HasSubstr("60 s behind"));
}

TEST(Findings, WhatTheKernelLendsIsNoFault) {
  EXPECT_EQ(congestion_finding("reno cubic bbr", "reno cubic bbr").level, Level::ok);
  const Finding lent = congestion_finding("reno cubic", "reno cubic bbr");
  EXPECT_EQ(lent.level, Level::note);
  EXPECT_EQ(lent.next,
            "as root: sysctl -w net.ipv4.tcp_allowed_congestion_control=\"reno cubic bbr\"");
  EXPECT_THAT(congestion_finding("reno cubic", "reno cubic").next, HasSubstr("modprobe tcp_bbr"));
  EXPECT_EQ(congestion_finding("", "").level, Level::note);
}

TEST(Findings, ReadAsTextAndAsJson) {
  const std::vector<Finding> findings = {{Level::ok, "token", "it is the relay's \"home\"", "", ""},
                                         fault("service", {Code::SERVICE_REFUSED, "127.0.0.1:1"})};
  EXPECT_TRUE(has_fault(findings));
  EXPECT_FALSE(has_fault({findings.front()}));
  EXPECT_EQ(findings_text(findings),
            "ok     token        it is the relay's \"home\"\n"
            "fault  service      LEAT_SERVICE_REFUSED: the service behind the agent refused the "
            "connection: 127.0.0.1:1\n"
            "                    to do: start the local service, or correct the target the agent "
            "was given\n");
  EXPECT_THAT(findings_text({fault("configuration", {Code::CONFIG, "x"})}),
              HasSubstr("fault  configuration LEAT_CONFIG: "));
  const auto json = nlohmann::json::parse(findings_json(findings));
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["checks"][0]["level"], "ok");
  EXPECT_FALSE(json["checks"][0].contains("code"));
  EXPECT_EQ(json["checks"][1]["code"], "LEAT_SERVICE_REFUSED");
}

TEST(HttpDate, IsReadAsRelaysWriteIt) {
  using std::chrono::system_clock;
  EXPECT_EQ(parse_http_date("Sun, 09 Sep 2001 01:46:40 GMT"),
            system_clock::time_point(1'000'000'000s));
  for (const char* other : {"", "yesterday", "Sun, 09 Sep 2001 01:46:40", "2001-09-09T01:46:40Z",
                            "Sun, 09 Sep 2001 01:46:40 GMT+1"}) {
    EXPECT_FALSE(parse_http_date(other)) << other;
  }
}

}  // namespace
}  // namespace leat::cli
