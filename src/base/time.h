// Time as the sans-I/O layers see it: a monotonic instant that the caller passes in, so that tests
// run in virtual time and a clock that jumps a day drops no connection.
#pragma once

#include <chrono>

namespace leat {

using Duration = std::chrono::nanoseconds;
using Time = std::chrono::time_point<std::chrono::steady_clock, Duration>;

inline constexpr Time kNever = Time::max();

}  // namespace leat
