#include "cli/demo_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace leat::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(DemoReport, PercentilesAreByNearestRank) {
  EXPECT_EQ(percentile({7}, 50), 7);
  EXPECT_EQ(percentile({3, 1, 2, 4}, 50), 2);
  EXPECT_EQ(percentile({3, 1, 2, 4}, 99), 4);
  EXPECT_EQ(percentile({3, 1, 2, 4}, 0), 1);
}

TEST(DemoReport, TellsTimesSinceTheFirstAndTheLast) {
  DemoReport report;
  const Time start{};
  report.begin(start);
  const std::string first = report.token("A", start + 30ms, 1'000'000, 999'500);
  EXPECT_THAT(first, testing::StartsWith("  since first   since last  token\n"));
  EXPECT_THAT(first, HasSubstr("0.0 ms"));
  const std::string line = report.token(" b\n\033[2J", start + 80ms, 1'050'000, 1'049'000);
  EXPECT_THAT(line, HasSubstr("50.0 ms"));
  EXPECT_THAT(line, testing::Not(HasSubstr("since")));
  EXPECT_THAT(line, HasSubstr(" b\\n.[2J")) << "a model must not command the terminal";
  EXPECT_EQ(report.tokens(), 2u);
  EXPECT_EQ(report.summary(),
            "2 tokens in 0.08 s; the first 30.0 ms after the request; "
            "added delay p50 0.50 ms, p99 1.00 ms\n"
            "(from the moment the service wrote a token to its arrival through the tunnel)\n");
}

TEST(DemoReport, SaysNothingOfDelaysItCannotKnow) {
  DemoReport report;
  report.token("A", Time{}, 1, std::nullopt);
  EXPECT_THAT(report.summary(), testing::Not(HasSubstr("added")));
}

}  // namespace
}  // namespace leat::cli
