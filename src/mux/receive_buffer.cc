#include "mux/receive_buffer.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace leat::mux {

ReceiveBuffer::~ReceiveBuffer() { assert(first_ == nullptr); }

std::size_t ReceiveBuffer::append(Bytes data, BlockPool& pool) {
  std::size_t done = 0;
  while (done < data.size()) {
    if (last_ == nullptr || last_->end == last_->capacity()) {
      // The more a stream holds, the larger its next block: at most about half of it stays unused.
      Block* const block = pool.acquire(std::max(size_, data.size() - done));
      if (block == nullptr) break;
      (last_ == nullptr ? first_ : last_->next) = block;
      last_ = block;
      memory_ += block->size;
    }
    const std::size_t n = std::min<std::size_t>(last_->capacity() - last_->end, data.size() - done);
    std::memcpy(last_->data() + last_->end, data.data() + done, n);
    last_->end += static_cast<std::uint32_t>(n);
    size_ += n;
    done += n;
  }
  return done;
}

Bytes ReceiveBuffer::front() const {
  if (first_ == nullptr) return {};
  return {first_->data() + first_->begin, first_->end - first_->begin};
}

Pieces ReceiveBuffer::oldest() const {
  Pieces pieces;
  for (Block* block = first_; block != nullptr && !pieces.full(); block = block->next) {
    pieces.add({block->data() + block->begin, block->end - block->begin});
  }
  return pieces;
}

void ReceiveBuffer::consume(std::size_t n, BlockPool& pool) {
  assert(n <= size_);
  size_ -= n;
  while (n > 0) {
    const std::size_t of_first = std::min<std::size_t>(n, first_->end - first_->begin);
    first_->begin += static_cast<std::uint32_t>(of_first);
    n -= of_first;
    if (first_->begin == first_->end) drop_first(pool);
  }
}

void ReceiveBuffer::clear(BlockPool& pool) {
  while (first_ != nullptr) drop_first(pool);
  size_ = 0;
}

void ReceiveBuffer::drop_first(BlockPool& pool) {
  Block* const block = first_;
  first_ = block->next;
  if (first_ == nullptr) last_ = nullptr;
  memory_ -= block->size;
  pool.release(block);
}

}  // namespace leat::mux
