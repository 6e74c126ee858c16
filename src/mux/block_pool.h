// Memory for received bytes that nobody has taken yet. Blocks of three sizes, counted whole against
// a hard budget (docs/flow_control.md), so that many streams with a few bytes each are charged what
// they cost. A little is kept for reuse, so that a session in its stride allocates nothing.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "mux/memory_share.h"

namespace leat::mux {

// A block is its header and its bytes in one piece of memory.
struct Block {
  Block* next;
  std::uint32_t size;   // of the piece, header included
  std::uint32_t begin;  // bytes [begin, end) are held
  std::uint32_t end;

  std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  std::uint32_t capacity() const { return size - static_cast<std::uint32_t>(sizeof(Block)); }
};

class BlockPool {
 public:
  static constexpr std::array<std::uint32_t, 3> kSizes{1024, 4096, 16384};

  // used() and what is cached together never exceed `budget`; cached alone never `cache`. Memory
  // comes out of `share` if there is one.
  BlockPool(std::size_t budget, std::size_t cache, MemoryShare* share = nullptr);
  // Every block has been released.
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // A block of the largest size that is no larger than `wanted` bytes justify (at least the
  // smallest). Null when the budget does not allow one.
  Block* acquire(std::size_t wanted);
  void release(Block* block);

  // What should be used at this moment: the budget, or less while others use much. It may fall
  // below used() from one moment to the next, so that it is a reason to slow down, never to refuse.
  std::size_t limit() const {
    return share_ == nullptr ? budget_ : std::min(budget_, share_->allowance());
  }
  std::size_t used() const { return used_; }      // in blocks given out
  std::size_t cached() const { return cached_; }  // in free blocks kept
  // Whether so many percent of the limit are used.
  bool reached(std::size_t percent) const { return used_ * 100 >= limit() * percent; }
  // Whether others, all of them together, use so much that this session should want no more.
  bool scarce() const { return share_ != nullptr && share_->scarce(); }

 private:
  void drop_cache(std::size_t at_least);
  void free_block(Block* block);

  const std::size_t budget_;
  const std::size_t cache_;
  MemoryShare* const share_;
  std::size_t used_ = 0;
  std::size_t cached_ = 0;
  std::array<Block*, kSizes.size()> free_{};
};

}  // namespace leat::mux
