#include "net/link_log.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace leat::net {
namespace {

constexpr std::size_t kSlabHead = 32;
constexpr std::size_t kSlabRoom = limits::kLogSlab - kSlabHead;

}  // namespace

struct LogSlab {
  LogSlab* next;
  std::uint64_t base;  // offset of the first data byte in it
  std::uint64_t size;  // data bytes in it
  std::size_t used;    // of `bytes`
  std::uint8_t bytes[kSlabRoom];

  std::size_t room() const { return kSlabRoom - used; }
  std::size_t piece_length(std::size_t piece) const {
    return load_header(bytes + piece + LinkLog::kFront - limits::kChunkHeader).length;
  }
};
static_assert(sizeof(LogSlab) == limits::kLogSlab);

namespace {

// Free slabs of a thread. Beyond what one full log needs they go back to the allocator.
class SlabPool {
 public:
  SlabPool() = default;
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;
  ~SlabPool() {
    while (first_ != nullptr) delete pop();
  }

  LogSlab* take(std::uint64_t base) {
    LogSlab* slab = first_ != nullptr ? pop() : new LogSlab;
    slab->next = nullptr;
    slab->base = base;
    slab->size = 0;
    slab->used = 0;
    return slab;
  }

  void give(LogSlab* slab) {
    if (count_ == kKeep) {
      delete slab;
      return;
    }
    slab->next = first_;
    first_ = slab;
    ++count_;
  }

 private:
  static constexpr std::size_t kKeep = limits::kLinkLog / limits::kLogSlab;

  LogSlab* pop() {
    LogSlab* slab = first_;
    first_ = slab->next;
    --count_;
    return slab;
  }

  LogSlab* first_ = nullptr;
  std::size_t count_ = 0;
};

SlabPool& pool() {
  static thread_local SlabPool slabs;
  return slabs;
}

}  // namespace

LinkLog::LinkLog(std::size_t limit, mux::MemoryShare* share)
    : max_slabs_(std::max<std::size_t>(limit / limits::kLogSlab, 1)), share_(share) {}

LinkLog::~LinkLog() {
  while (head_ != nullptr) drop_head();
}

MutableBytes LinkLog::room() {
  if (tail_ == nullptr || tail_->room() < kFront + kLeast) {
    if (slabs_ == max_slabs_) return {};
    if (share_ != nullptr) {
      const bool paid = may_grow() && share_->take(limits::kLogSlab);
      if (!paid && slabs_ > 0) return {};
      paid_ += paid;
    }
    LogSlab* slab = pool().take(end_);
    ++slabs_;
    (tail_ != nullptr ? tail_->next : head_) = slab;
    tail_ = slab;
  }
  return {tail_->bytes + tail_->used + kFront, tail_->room() - kFront};
}

void LinkLog::commit(std::size_t n) {
  assert(n > 0 && kFront + n <= tail_->room());
  assert(tail_->piece_length(tail_->used) == n);
  tail_->used += kFront + n;
  tail_->size += n;
  end_ += n;
}

bool LinkLog::full() const {
  return tail_ != nullptr && tail_->room() < kFront + kLeast &&
         (slabs_ == max_slabs_ || !may_grow());
}

bool LinkLog::may_grow() const {
  return share_ == nullptr || memory() + limits::kLogSlab <= share_->allowance();
}

void LinkLog::shrink() {
  if (begin_ == end_ && head_ != nullptr) drop_head();
}

void LinkLog::release(std::uint64_t offset) {
  assert(begin_ <= offset && offset <= end_);
  begin_ = offset;
  while (head_ != tail_ && head_->base + head_->size <= offset) drop_head();
  if (begin_ == end_ && tail_ != nullptr) {  // the next piece starts at the front of the slab again
    tail_->base = end_;
    tail_->size = 0;
    tail_->used = 0;
  }
}

LinkLog::Cursor LinkLog::seek(std::uint64_t offset) const {
  assert(begin_ <= offset && offset <= end_);
  Cursor cursor{.slab = head_};
  while (cursor.slab != nullptr && cursor.slab->base + cursor.slab->size <= offset) {
    cursor.slab = cursor.slab->next;
  }
  if (cursor.slab == nullptr) return cursor;
  std::uint64_t skip = offset - cursor.slab->base;
  for (;;) {
    const std::size_t length = cursor.slab->piece_length(cursor.piece);
    if (skip < length) break;
    skip -= length;
    cursor.piece += kFront + length;
  }
  cursor.taken = static_cast<std::size_t>(skip);
  return cursor;
}

std::size_t LinkLog::read(Cursor& cursor, MutableBytes out) const {
  std::size_t n = 0;
  while (n < out.size() && cursor.slab != nullptr && cursor.piece < cursor.slab->used) {
    const std::size_t length = cursor.slab->piece_length(cursor.piece);
    const std::size_t take = std::min(length - cursor.taken, out.size() - n);
    std::memcpy(out.data() + n, cursor.slab->bytes + cursor.piece + kFront + cursor.taken, take);
    n += take;
    cursor.taken += take;
    if (cursor.taken < length) break;
    cursor = {cursor.slab, cursor.piece + kFront + length, 0};
    // At once, not with the next read: a slab that was read to its end may be released before.
    if (cursor.piece == cursor.slab->used) cursor = {.slab = cursor.slab->next};
  }
  return n;
}

void LinkLog::drop_head() {
  LogSlab* slab = head_;
  head_ = slab->next;
  if (head_ == nullptr) tail_ = nullptr;
  if (paid_ == slabs_--) {
    --paid_;
    share_->give_back(limits::kLogSlab);
  }
  pool().give(slab);
}

}  // namespace leat::net
