// A few spans of bytes in order that lie apart: the payloads of frames that came together, or the
// blocks of a buffer.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <span>

#include "base/bytes.h"
#include "mux/endpoint.h"

namespace leat::mux {

class Pieces {
 public:
  Pieces() = default;
  explicit Pieces(Bytes data) { add(data); }

  bool empty() const { return first_ == last_; }
  bool full() const { return last_ == pieces_.size(); }
  std::span<const Bytes> left() const { return std::span(pieces_).first(last_).subspan(first_); }

  void add(Bytes data) {
    assert(!full());
    if (!data.empty()) pieces_[last_++] = data;
  }

  // Takes `n` bytes off the front; no more than there are.
  void drop(std::size_t n) {
    while (n > 0) {
      assert(!empty());
      Bytes& front = pieces_[first_];
      if (n < front.size()) {
        front = front.subspan(n);
        return;
      }
      n -= front.size();
      ++first_;
    }
  }

 private:
  std::array<Bytes, Sink::kMaxPieces> pieces_;
  std::size_t first_ = 0, last_ = 0;
};

}  // namespace leat::mux
