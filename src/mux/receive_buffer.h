// Bytes of one stream that its sink has not taken yet, in order. Frames leave no trace: what
// arrives is joined to what is there (threat 5). Empty, it is two pointers and two numbers.
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "mux/block_pool.h"
#include "mux/pieces.h"

namespace leat::mux {

class ReceiveBuffer {
 public:
  ReceiveBuffer() = default;
  ~ReceiveBuffer();  // it has been cleared
  ReceiveBuffer(const ReceiveBuffer&) = delete;
  ReceiveBuffer& operator=(const ReceiveBuffer&) = delete;

  // Returns how much of `data` was stored; less than all of it only when the pool has no block
  // left.
  std::size_t append(Bytes data, BlockPool& pool);
  // The oldest bytes that lie together; empty if there are none. Valid until the next call but
  // append.
  Bytes front() const;
  // As many of the blocks that follow each other from there as there is room for.
  Pieces oldest() const;
  // Drops the first n bytes, n <= size().
  void consume(std::size_t n, BlockPool& pool);
  void clear(BlockPool& pool);

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }      // bytes held
  std::size_t memory() const { return memory_; }  // of the blocks that hold them

 private:
  void drop_first(BlockPool& pool);

  Block* first_ = nullptr;
  Block* last_ = nullptr;
  std::size_t size_ = 0;
  std::size_t memory_ = 0;
};

}  // namespace leat::mux
