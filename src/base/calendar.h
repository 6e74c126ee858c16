// The time of day as text, always in UTC: for fields of HTTP, for JSON, and for people.
#pragma once

#include <chrono>
#include <string>

namespace leat {

using TimeOfDay = std::chrono::system_clock::time_point;

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7).
std::string http_date(TimeOfDay when);

// "1994-11-06T08:49:37Z" (RFC 3339).
std::string rfc3339(TimeOfDay when);

// "1994-11-06T08:49:37.000123Z".
std::string rfc3339_micros(TimeOfDay when);

// "1994-11-06 08:49", in lists that people read.
std::string day_and_minute(TimeOfDay when);

}  // namespace leat
