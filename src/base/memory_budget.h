// Memory that several threads draw on, as a count: nothing is allocated here. Threads lease large
// pieces and divide them themselves (mux::MemoryShare), so that the count is seldom touched.
#pragma once

#include <atomic>
#include <cstddef>

namespace leat {

class MemoryBudget {
 public:
  // In bytes.
  explicit MemoryBudget(std::size_t total) : total_(total), free_(total) {}

  // All of `n` or nothing. Any thread, as everything here.
  [[nodiscard]] bool lease(std::size_t n) {
    std::size_t free = free_.load(std::memory_order_relaxed);
    do {
      if (free < n) return false;
    } while (!free_.compare_exchange_weak(free, free - n, std::memory_order_relaxed));
    return true;
  }
  void give_back(std::size_t n) { free_.fetch_add(n, std::memory_order_relaxed); }

  std::size_t total() const { return total_; }
  std::size_t free() const { return free_.load(std::memory_order_relaxed); }

 private:
  const std::size_t total_;
  std::atomic<std::size_t> free_;
};

}  // namespace leat
