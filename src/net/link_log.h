// The replay log of a link: session bytes that were sent and are not yet acknowledged, numbered
// from the session's first byte. Frames are built in it, so keeping them costs no copy.
//
//   slab   [front|data      ][front|data            ][front|data   ]        64 KiB
//           36    n           36
//
// Before each piece of data lie kFront bytes: room for the control chunks that may leave with it
// and for its own chunk header, so that all of it is one span for the carrier. The header's length
// is at the same time the log's index: walking from piece to piece finds any offset.
//
// Slabs come from a free list of the thread, last in first out, so that what is written next is
// what was just in the cache, and an idle session holds none. A log belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/limits.h"
#include "mux/memory_share.h"
#include "net/link_chunk.h"

namespace leat::net {

struct LogSlab;

class LinkLog {
 public:
  static constexpr std::size_t kFront =
      3 * (limits::kChunkHeader + kNumberSize) + limits::kChunkHeader;
  // A slab with less room than this is finished: small chunks waste the carrier's record.
  static constexpr std::size_t kLeast = 2 * limits::KiB;

  // `limit`: memory in bytes, counted in slabs; at least one. `share`: what all logs are paid from,
  // as the buffers of sessions are; nullptr: nothing. One slab is had even when nothing is left, so
  // that every session gets on.
  explicit LinkLog(std::size_t limit, mux::MemoryShare* share = nullptr);
  ~LinkLog();
  LinkLog(const LinkLog&) = delete;
  LinkLog& operator=(const LinkLog&) = delete;

  // Where the next data goes, kLeast bytes or more with kFront writable ones before them. Empty:
  // full.
  MutableBytes room();
  // `n` > 0 bytes now lie at the front of room(), behind their chunk header.
  void commit(std::size_t n);
  bool full() const;
  // Gives back the last slab if nothing is held. Only when no span of it is still to be written.
  void shrink();

  std::uint64_t begin() const { return begin_; }  // first offset held
  std::uint64_t end() const { return end_; }      // offset of the next byte to come
  // Forgets what lies before `offset`, begin() <= offset <= end(). The slab last written to stays,
  // and its bytes stay as they are until the next room().
  void release(std::uint64_t offset);

  // Reads what is held, in order; void after a release beyond it.
  struct Cursor {
    const LogSlab* slab = nullptr;
    std::size_t piece = 0;  // where in the slab
    std::size_t taken = 0;  // of that piece's data
  };
  Cursor seek(std::uint64_t offset) const;
  // Copies up to out.size() bytes, returns how many; less only at end().
  std::size_t read(Cursor& cursor, MutableBytes out) const;

  std::size_t memory() const { return slabs_ * limits::kLogSlab; }

 private:
  bool may_grow() const;
  void drop_head();

  const std::size_t max_slabs_;
  mux::MemoryShare* const share_;
  std::size_t slabs_ = 0;
  std::size_t paid_ = 0;     // of them, all but one at least
  LogSlab* head_ = nullptr;  // oldest
  LogSlab* tail_ = nullptr;  // written to
  std::uint64_t begin_ = 0, end_ = 0;
};

}  // namespace leat::net
