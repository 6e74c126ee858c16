// How many resets the relay may still cause. A visitor who leaves is a RST to the agent, and an
// agent ends a session that brings more of them than limits::kRelayResets: strangers who come and
// go must not be able to make an honest relay look hostile. A stream that ends cleanly costs
// nothing.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/limits.h"
#include "base/time.h"

namespace leat::relay {

class ResetPace {
 public:
  // Whether another stream may be opened; `sent`: all resets of the session so far.
  [[nodiscard]] bool allows(std::uint64_t sent, Time now) {
    const auto fresh = static_cast<Duration::rep>(sent - counted_);
    counted_ = sent;
    settled_ = std::max(settled_, now) + kPeriod * fresh;
    return settled_ - now <= kPeriod * limits::kRelayCaused.burst;
  }

 private:
  static constexpr Duration kPeriod =
      std::chrono::duration_cast<Duration>(std::chrono::seconds(1)) /
      limits::kRelayCaused.per_second;

  std::uint64_t counted_ = 0;
  Time settled_{};  // when the agent will have forgotten all of them
};

}  // namespace leat::relay
