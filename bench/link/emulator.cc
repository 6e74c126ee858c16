#include "link/emulator.h"

#include <algorithm>

namespace leat::bench {

// splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
double Path::draw() {
  std::uint64_t x = random_ += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return static_cast<double>((x ^ x >> 31) >> 11) * 0x1p-53;
}

std::optional<std::int64_t> Path::pass(std::int64_t now, std::size_t bytes) {
  // Both drawn for every packet: the fate of the n-th does not depend on the settings of the other.
  const double loss = draw(), reorder = draw();
  if (loss < config_.loss) {
    ++counts_.lost;
    return std::nullopt;
  }
  std::int64_t leaves = now;
  if (config_.rate_mbit > 0) {
    const std::int64_t start = std::max(now, free_at_);
    if (static_cast<double>(start - now) > config_.queue_ms * 1e6) {
      ++counts_.dropped;
      return std::nullopt;
    }
    free_at_ =
        start + static_cast<std::int64_t>(static_cast<double>(bytes) * 8e3 / config_.rate_mbit);
    leaves = free_at_;
  }
  leaves += static_cast<std::int64_t>(config_.delay_ms * 1e6);
  if (reorder < config_.reorder) {
    ++counts_.reordered;
    leaves += static_cast<std::int64_t>(config_.reorder_late_ms * 1e6);
  }
  ++counts_.passed;
  return leaves;
}

}  // namespace leat::bench
