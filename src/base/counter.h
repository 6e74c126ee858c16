// A number that one thread counts, and any thread may read.
#pragma once

#include <atomic>
#include <cstdint>

namespace leat {

class Counter {
 public:
  Counter(std::uint64_t n = 0) : n_(n) {}  // NOLINT(google-explicit-constructor): it is a number
  Counter(const Counter& other) : n_(other) {}
  Counter& operator=(const Counter& other) {
    n_.store(other, std::memory_order_relaxed);
    return *this;
  }
  ~Counter() = default;

  operator std::uint64_t() const {  // NOLINT(google-explicit-constructor)
    return n_.load(std::memory_order_relaxed);
  }
  // Of the one thread: no locked instruction.
  Counter& operator+=(std::uint64_t n) {
    n_.store(n_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    return *this;
  }
  Counter& operator++() { return *this += 1; }

 private:
  std::atomic<std::uint64_t> n_;
};

}  // namespace leat
