// What all sessions of a process may hold together (docs/flow_control.md). One MemoryBudget for the
// process (limits::kRelayBudget), one MemoryShare for each shard: a share leases memory in large
// blocks, so that the sessions of a shard take and give back without a lock.
//
// No session is promised anything. Each may hold up to an eighth of what is free at the moment, so
// that the more is used, the less anyone may hold (dynamic thresholds; A. Choudhury and E. Hahne,
// IEEE/ACM Transactions on Networking 6, 1998). However many sessions take what they can get, they
// end with equal parts, and a part as large is left for the next one that comes.
#pragma once

#include <cstddef>

#include "base/limits.h"
#include "base/memory_budget.h"

namespace leat::mux {

// Of one thread. Outlives the sessions that use it.
class MemoryShare {
 public:
  static constexpr std::size_t kLease = 1 * limits::MiB;

  explicit MemoryShare(MemoryBudget& budget) : budget_(budget) {}
  ~MemoryShare() { budget_.give_back(spare_); }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

  [[nodiscard]] bool take(std::size_t n);
  void give_back(std::size_t n);

  // How much one session may hold now.
  std::size_t allowance() const { return (budget_.free() + spare_) / 8; }
  // At least half of everything is used: nobody's windows grow, nobody keeps blocks for reuse.
  bool scarce() const { return budget_.free() + spare_ <= budget_.total() / 2; }

 private:
  MemoryBudget& budget_;
  std::size_t spare_ = 0;  // leased, and not in use
};

}  // namespace leat::mux
