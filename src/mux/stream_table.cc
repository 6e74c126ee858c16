#include "mux/stream_table.h"

#include <cassert>

namespace leat::mux {

StreamTable::~StreamTable() {
  assert(live_ == 0);
  if (memory_ != nullptr) memory_->give_back(chunks_.size() * sizeof(Slot) * kChunk);
}

Stream& StreamTable::insert(std::uint32_t id, StreamState state, std::uint32_t window, Time now) {
  assert(free_ != kNone);
  const std::uint32_t number = free_;
  Slot& slot = at(number);
  free_ = slot.next_free;
  slot.used = true;
  ++live_;
  Stream* const stream =
      new (slot.storage) Stream({number, slot.generation}, id, state, window, now);
  const bool fresh = ids_.emplace(id, number).second;
  assert(fresh);
  static_cast<void>(fresh);
  return *stream;
}

void StreamTable::forget_id(Stream& stream) {
  const auto found = ids_.find(stream.id);
  // The id may be long gone, but never belongs to another stream: ids are used once.
  if (found != ids_.end() && found->second == stream.handle.slot) ids_.erase(found);
}

void StreamTable::retire(Stream& stream) {
  forget_id(stream);
  Slot& slot = at(stream.handle.slot);
  if (slot.generation == stream.handle.generation) ++slot.generation;
}

void StreamTable::remove(Stream& stream) {
  retire(stream);
  const std::uint32_t number = stream.handle.slot;
  Slot& slot = at(number);
  stream.~Stream();
  slot.used = false;
  slot.next_free = free_;
  free_ = number;
  --live_;
}

Stream* StreamTable::find(std::uint32_t id) const {
  const auto found = ids_.find(id);
  return found == ids_.end() ? nullptr : &at(found->second).stream();
}

Stream* StreamTable::get(StreamHandle handle) const {
  if (handle.slot >= slots()) return nullptr;
  Slot& slot = at(handle.slot);
  return slot.used && slot.generation == handle.generation ? &slot.stream() : nullptr;
}

bool StreamTable::grow() {
  if (memory_ != nullptr && !memory_->take(sizeof(Slot) * kChunk)) return false;
  const std::uint32_t first = slots();
  chunks_.push_back(std::make_unique<Slot[]>(kChunk));
  for (std::uint32_t i = kChunk; i-- > 0;) {
    at(first + i).next_free = free_;
    free_ = first + i;
  }
  return true;
}

}  // namespace leat::mux
