// The streams that hold received bytes, sorted roughly by how much: one list for each power of two.
// Finding whom to reset when memory runs short must not cost more than the frame that made it run
// short.
#pragma once

#include <array>
#include <bit>
#include <cstddef>

#include "base/time.h"
#include "mux/stream.h"

namespace leat::mux {

class Holders {
 public:
  // To be called whenever stream.buffer.memory() has changed.
  void update(Stream& stream) {
    const auto now = static_cast<std::uint8_t>(std::bit_width(stream.buffer.memory()));
    if (now == stream.holder_class) return;
    if (stream.holder_class != 0) Streams::unlink(stream);
    stream.holder_class = now;
    if (now != 0) classes_[now].push_back(stream);
  }

  // The stream that holds most; among more than 64 of one power of two, the largest of the 64 that
  // reached it first. Null if none holds anything.
  Stream* largest() const {
    for (std::size_t i = classes_.size(); i-- > 0;) {
      Stream* best = nullptr;
      int looked_at = 0;
      for (Stream* s = classes_[i].front(); s != nullptr && looked_at < 64; ++looked_at) {
        if (best == nullptr || s->buffer.memory() > best->buffer.memory()) best = s;
        s = classes_[i].after(*s);
      }
      if (best != nullptr) return best;
    }
    return nullptr;
  }

  // The largest of those whose sink has taken nothing since `since`. Looks at all of them if it
  // must.
  Stream* largest_stalled(Time since) const {
    for (std::size_t i = classes_.size(); i-- > 0;) {
      Stream* best = nullptr;
      for (Stream* s = classes_[i].front(); s != nullptr; s = classes_[i].after(*s)) {
        if (s->taken > since) continue;
        if (best == nullptr || s->buffer.memory() > best->buffer.memory()) best = s;
      }
      if (best != nullptr) return best;
    }
    return nullptr;
  }

 private:
  using Streams = List<Stream, HolderTag>;
  std::array<Streams, 64> classes_;  // by bit width of the memory held
};

}  // namespace leat::mux
