// What the demo measures: when each token arrived, and how much later than it was sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace leat::cli {

// The p-th percentile (0 to 100) by nearest rank; `values` not empty.
double percentile(std::vector<double> values, double p);

class DemoReport {
 public:
  void begin(Time now) { begun_ = now; }
  // A line that tells the token's time since the first and since the one before, and above the
  // first what the columns are. `arrived_us` and `sent_us`: unix microseconds.
  std::string token(std::string_view text, Time now, std::uint64_t arrived_us,
                    std::optional<std::uint64_t> sent_us);
  std::size_t tokens() const { return tokens_; }
  // Delay of the first token and, where the server tells when it sent them, what the way added.
  std::string summary() const;

 private:
  Time begun_{}, first_{}, last_{};
  std::size_t tokens_ = 0;
  std::vector<double> added_ms_;
};

}  // namespace leat::cli
