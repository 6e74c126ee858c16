#include "mux/abuse_guard.h"

#include <algorithm>

namespace leat::mux {

TokenBucket::TokenBucket(limits::Rate rate)
    : period_(std::chrono::nanoseconds(std::chrono::seconds(1)) / rate.per_second),
      capacity_(period_ * rate.burst) {}

bool TokenBucket::take(std::uint32_t n, Time now) {
  const Time full_at = std::max(full_at_, now) + period_ * n;
  if (full_at - now > capacity_) return false;
  full_at_ = full_at;
  return true;
}

}  // namespace leat::mux
