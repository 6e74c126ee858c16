#include "mux/block_pool.h"

#include <cassert>
#include <new>

namespace leat::mux {
namespace {

std::size_t size_class(std::size_t wanted) {
  std::size_t i = BlockPool::kSizes.size() - 1;
  while (i > 0 && BlockPool::kSizes[i] > wanted) --i;
  return i;
}

}  // namespace

BlockPool::BlockPool(std::size_t budget, std::size_t cache, MemoryShare* share)
    : budget_(budget), cache_(cache), share_(share) {}

BlockPool::~BlockPool() {
  assert(used_ == 0);
  drop_cache(cached_);
}

Block* BlockPool::acquire(std::size_t wanted) {
  // Near the budget a smaller block may still fit.
  for (std::size_t i = size_class(wanted) + 1; i-- > 0;) {
    const std::uint32_t size = kSizes[i];
    if (used_ + size > budget_) continue;
    Block* block = free_[i];
    if (block != nullptr) {
      free_[i] = block->next;
      cached_ -= size;
    } else {
      if (used_ + cached_ + size > budget_) drop_cache(used_ + cached_ + size - budget_);
      if (share_ != nullptr && !share_->take(size)) continue;
      block = static_cast<Block*>(::operator new(size));
    }
    used_ += size;
    *block = {.next = nullptr, .size = size, .begin = 0, .end = 0};
    return block;
  }
  return nullptr;
}

void BlockPool::release(Block* block) {
  used_ -= block->size;
  if (cached_ + block->size > cache_ || scarce()) return free_block(block);
  cached_ += block->size;
  Block*& head = free_[size_class(block->size)];
  block->next = head;
  head = block;
}

void BlockPool::drop_cache(std::size_t at_least) {
  const std::size_t keep = cached_ > at_least ? cached_ - at_least : 0;
  for (Block*& head : free_) {
    while (head != nullptr && cached_ > keep) {
      Block* const block = head;
      head = block->next;
      cached_ -= block->size;
      free_block(block);
    }
  }
}

void BlockPool::free_block(Block* block) {
  if (share_ != nullptr) share_->give_back(block->size);
  ::operator delete(block);
}

}  // namespace leat::mux
