// Room for the heads of visitors that have come in part (threat 15): a bound for all of the
// relay's, whichever shard reads them. Any thread.
#pragma once

#include <cstddef>

#include "base/limits.h"
#include "base/memory_budget.h"

namespace leat::relay {

// A head may hold a part of what is free. So many large ones leave some room to every other, and it
// is they who find none.
class HeadRooms {
 public:
  // Not asked for: about what the connection costs in any case.
  static constexpr std::size_t kSmall = limits::KiB;
  // A reader's string may have twice the room that it fills.
  static constexpr std::size_t kLargest = 2 * limits::kHead;
  static constexpr std::size_t kLargestAtOnce = limits::kHandshakesOfAddress / 2;
  static_assert(kLargestAtOnce * kLargest < 32 * limits::MiB);
  // The part: of the largest an eighth of those that the sum holds find room beside one another.
  static constexpr std::size_t kPart = kLargestAtOnce - kLargestAtOnce / 8;

 private:
  friend class HeadRoom;
  MemoryBudget budget_{kLargestAtOnce * kLargest};
};

// That of one connection's head, given back with it.
class HeadRoom {
 public:
  explicit HeadRoom(HeadRooms& all) : budget_(all.budget_) {}
  HeadRoom(const HeadRoom&) = delete;
  HeadRoom& operator=(const HeadRoom&) = delete;
  ~HeadRoom() { release(); }

  // The head has come to `held` bytes, which only grow until it is released. False: there is no
  // room for so many.
  [[nodiscard]] bool hold(std::size_t held) {
    if (held <= HeadRooms::kSmall) return true;
    const std::size_t wanted = 2 * (held - HeadRooms::kSmall);
    const std::size_t free = budget_.free() + taken_;
    if (wanted > free / HeadRooms::kPart || !budget_.lease(wanted - taken_)) return false;
    taken_ = wanted;
    return true;
  }
  void release() {
    if (taken_ > 0) budget_.give_back(taken_);
    taken_ = 0;
  }

 private:
  MemoryBudget& budget_;
  std::size_t taken_ = 0;
};

}  // namespace leat::relay
