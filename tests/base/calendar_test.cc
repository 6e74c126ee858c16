#include "base/calendar.h"

#include <gtest/gtest.h>

namespace leat {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr TimeOfDay kExample{seconds(784111777)};  // of RFC 9110 §5.6.7

TEST(Calendar, WritesTheExampleOfTheRfc) {
  EXPECT_EQ(http_date(kExample), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(rfc3339(kExample), "1994-11-06T08:49:37Z");
  EXPECT_EQ(day_and_minute(kExample), "1994-11-06 08:49");
}

TEST(Calendar, PartsOfASecondHaveSixDigits) {
  EXPECT_EQ(rfc3339_micros(kExample), "1994-11-06T08:49:37.000000Z");
  EXPECT_EQ(rfc3339_micros(kExample + microseconds(123)), "1994-11-06T08:49:37.000123Z");
  EXPECT_EQ(rfc3339_micros(kExample + microseconds(999'999)), "1994-11-06T08:49:37.999999Z");
}

TEST(Calendar, RoundsDown) {
  EXPECT_EQ(rfc3339(kExample + microseconds(999'999)), "1994-11-06T08:49:37Z");
  EXPECT_EQ(rfc3339(TimeOfDay(microseconds(-1))), "1969-12-31T23:59:59Z");
  EXPECT_EQ(rfc3339_micros(TimeOfDay(microseconds(-1))), "1969-12-31T23:59:59.999999Z");
}

TEST(Calendar, LeapDays) {
  EXPECT_EQ(http_date(TimeOfDay(seconds(1'709'164'800))), "Thu, 29 Feb 2024 00:00:00 GMT");
}

}  // namespace
}  // namespace leat
