// Where streams live: slots in chunks that never move, each with a generation that tells a stale
// handle, and the way from an id on the wire to its slot. Memory is taken a chunk at a time and
// reused, so that opening and closing streams allocates nothing once the session has seen its peak.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "mux/memory_share.h"
#include "mux/stream.h"

namespace leat::mux {

class StreamTable {
 public:
  // What the table takes comes out of `memory` if there is one.
  explicit StreamTable(MemoryShare* memory = nullptr) : memory_(memory) {}
  ~StreamTable();  // every stream has been removed
  StreamTable(const StreamTable&) = delete;
  StreamTable& operator=(const StreamTable&) = delete;

  // Makes room for one more stream. False: there is no memory for it.
  [[nodiscard]] bool reserve() { return free_ != kNone || grow(); }
  // After reserve(). The id must be unknown.
  Stream& insert(std::uint32_t id, StreamState state, std::uint32_t window, Time now);

  // The end of a stream, in up to three steps. Its id becomes unknown to the wire; its handle
  // stale; its slot free. Steps left out are done on the way.
  void forget_id(Stream& stream);
  void retire(Stream& stream);
  void remove(Stream& stream);

  Stream* find(std::uint32_t id) const;
  // Null for a stale handle.
  Stream* get(StreamHandle handle) const;

  std::size_t known() const { return ids_.size(); }  // ids
  std::size_t live() const { return live_; }         // slots in use, retired ones included

  // Calls visit(Stream&) for every stream whose handle is not stale. visit may remove any of them.
  template <typename Visit>
  void for_each(Visit visit) {
    for (std::uint32_t slot = 0; slot < slots(); ++slot) {
      if (Slot& s = at(slot); s.used && s.stream().handle.generation == s.generation) {
        visit(s.stream());
      }
    }
  }

 private:
  struct Slot {
    alignas(Stream) std::byte storage[sizeof(Stream)];
    std::uint32_t generation = 0;
    std::uint32_t next_free = 0;
    bool used = false;

    Stream& stream() { return *std::launder(reinterpret_cast<Stream*>(storage)); }
  };
  static constexpr std::uint32_t kChunk = 16;  // slots
  static constexpr std::uint32_t kNone = 0xffffffff;

  std::uint32_t slots() const { return static_cast<std::uint32_t>(chunks_.size()) * kChunk; }
  Slot& at(std::uint32_t slot) const { return chunks_[slot / kChunk][slot % kChunk]; }
  bool grow();

  MemoryShare* const memory_;
  std::vector<std::unique_ptr<Slot[]>> chunks_;  // never given back while the session lives
  absl::flat_hash_map<std::uint32_t, std::uint32_t> ids_;
  std::uint32_t free_ = kNone;
  std::size_t live_ = 0;
};

}  // namespace leat::mux
