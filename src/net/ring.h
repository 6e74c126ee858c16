// The rings between TLS and the socket, and the pool their memory comes from. A ring holds memory
// only while it holds bytes, so that the memory of a shard follows what is under way and not the
// number of connections.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace leat::net {

// Blocks of one size, one pool a shard. The block given back last is taken next: it is still in the
// cache.
class RingPool {
 public:
  // `ring` bytes of plaintext in full records, and the room their headers and tags need.
  explicit RingPool(std::size_t ring) : block_(ring + ring / 64) {}

  using Block = std::unique_ptr<std::uint8_t[]>;

  std::size_t block_size() const { return block_; }
  std::size_t in_use() const { return in_use_; }  // blocks

  Block take() {
    ++in_use_;
    if (free_.empty()) return Block(new std::uint8_t[block_]);
    Block block = std::move(free_.back());
    free_.pop_back();
    return block;
  }

  // A block moves to another shard's pool, of blocks as large.
  void part_with() { --in_use_; }
  void welcome() { ++in_use_; }

  void give(Block block) {
    --in_use_;
    if (free_.size() < kKept) free_.push_back(std::move(block));
  }

 private:
  static constexpr std::size_t kKept = 32;  // 3 MiB of 96 KiB blocks

  std::size_t block_;
  std::size_t in_use_ = 0;
  std::vector<Block> free_;
};

class Ring {
 public:
  explicit Ring(RingPool& pool) : pool_(&pool) {}
  ~Ring() {
    if (pool_ != nullptr) clear();
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  std::size_t room() const { return pool_->block_size() - size_; }

  // Copies a prefix in, returns its length.
  std::size_t write(Bytes from) {
    const std::size_t n = std::min(from.size(), room());
    if (n == 0) return 0;
    if (!block_) block_ = pool_->take();
    const std::size_t at = place(size_);
    const std::size_t straight = std::min(n, pool_->block_size() - at);
    std::memcpy(block_.get() + at, from.data(), straight);
    std::memcpy(block_.get(), from.data() + straight, n - straight);
    size_ += n;
    return n;
  }

  // Where the next `n` bytes go, at most room(): in at most two pieces, each to be committed() as
  // it is filled.
  std::array<MutableBytes, 2> ahead(std::size_t n) {
    if (n == 0) return {};
    if (!block_) block_ = pool_->take();
    const std::size_t at = place(size_);
    const std::size_t straight = std::min(n, pool_->block_size() - at);
    return {MutableBytes(block_.get() + at, straight), MutableBytes(block_.get(), n - straight)};
  }

  // Copies bytes out, returns how many.
  std::size_t read(MutableBytes into) {
    const std::size_t n = std::min(into.size(), size_);
    if (n == 0) return 0;
    const std::size_t straight = std::min(n, pool_->block_size() - head_);
    std::memcpy(into.data(), block_.get() + head_, straight);
    std::memcpy(into.data() + straight, block_.get(), n - straight);
    consume(n);
    return n;
  }

  // What the ring holds, in order, in at most two pieces.
  std::size_t pieces(std::array<iovec, 2>& out) const {
    if (size_ == 0) return 0;
    const std::size_t straight = std::min(size_, pool_->block_size() - head_);
    out[0] = {block_.get() + head_, straight};
    out[1] = {block_.get(), size_ - straight};
    return straight < size_ ? 2 : 1;
  }
  void consume(std::size_t n) {
    size_ -= n;
    head_ = place(n);
    if (size_ == 0) clear();
  }

  // What the ring holds, up to where it wraps around: all of it where only prepare() fills it.
  MutableBytes front() const {
    return {block_.get() + head_, std::min(size_, pool_->block_size() - head_)};
  }

  // Room to receive into, in one piece: what the ring holds moves to its front. committed() says
  // how much came.
  MutableBytes prepare() {
    if (!block_) block_ = pool_->take();
    if (size_ > 0 && head_ > 0) std::memmove(block_.get(), block_.get() + head_, size_);
    head_ = 0;
    return {block_.get() + size_, room()};
  }
  void committed(std::size_t n) {
    size_ += n;
    if (size_ == 0) clear();
  }

  // Goes to another shard with what it holds: leave() on the one's thread, join() on the other's.
  void leave() {
    if (block_) pool_->part_with();
    pool_ = nullptr;
  }
  void join(RingPool& pool) {
    pool_ = &pool;
    if (block_) pool_->welcome();
  }

  void clear() {
    size_ = head_ = 0;
    if (block_) pool_->give(std::move(block_));
  }

 private:
  // Offset in the block of what lies `n` bytes behind the head.
  std::size_t place(std::size_t n) const {
    const std::size_t at = head_ + n;
    return at < pool_->block_size() ? at : at - pool_->block_size();
  }

  RingPool* pool_;  // nullptr: between two shards
  RingPool::Block block_;
  std::size_t head_ = 0, size_ = 0;
};

}  // namespace leat::net
