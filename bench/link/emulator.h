// One direction of an emulated path, in numbers: packets come with the time, and are given the time
// at which they leave, or none. A bottleneck with a drop-tail queue, then a delay; loss and
// reordering by seed, so that a run can be repeated.
#pragma once

#include <cstdint>
#include <optional>

namespace leat::bench {

struct PathConfig {
  double delay_ms = 0;
  double rate_mbit = 0;        // of IP packets; 0: not limited
  double queue_ms = 200;       // at that rate; what does not fit is dropped
  double loss = 0;             // share of packets, 0 to 1
  double reorder = 0;          // share of packets that leave late, so that others pass them
  double reorder_late_ms = 1;  // by how much
  std::uint64_t seed = 1;
};

struct PathCounts {
  std::uint64_t passed = 0, lost = 0, dropped = 0, reordered = 0;
};

class Path {
 public:
  explicit Path(const PathConfig& config) : config_(config), random_(config.seed) {}

  // When a packet of `bytes` that comes now (ns) leaves; nullopt: it does not.
  std::optional<std::int64_t> pass(std::int64_t now, std::size_t bytes);
  const PathCounts& counts() const { return counts_; }

 private:
  double draw();  // [0, 1)

  PathConfig config_;
  std::uint64_t random_;
  std::int64_t free_at_ = 0;  // when the bottleneck has sent what is queued
  PathCounts counts_;
};

}  // namespace leat::bench
