// How the streams of a session share what their windows may grow by. The first 256 KiB of each are
// its own (yamux grants them unasked); the rest comes out of one sum and is shared max-min fairly:
// whoever needs less than an even share gets what it needs, the others get the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "mux/intrusive_list.h"
#include "mux/stream.h"

namespace leat::mux {

class WindowShares {
 public:
  // `base`: the window of a stream that has no share. `most`: no window grows beyond it.
  WindowShares(std::uint32_t base, std::uint32_t most) : base_(base), most_(most) {}

  // Doubles the window, or gets as near to that as `total`, the sum of all shares, allows. When it
  // does not allow it, those that let their windows lie since `idle_since` lose their shares, and
  // then the one that has most gives up half of what it is ahead. Peers keep credit they were
  // given; it is their next grants that are withheld.
  void grow(Stream& stream, std::size_t total, Time idle_since);
  // Halves the window, though not below the base.
  void shrink(Stream& stream);
  // The window is still used: among those that have a share, it is the last to be called idle.
  void keep(Stream& stream);
  // The stream gets no more grants.
  void release(Stream& stream) { give_back(stream, share(stream)); }

  std::size_t used() const { return used_; }  // the sum of all shares

 private:
  using Grown = List<Stream, GrownTag>;

  std::uint32_t share(const Stream& stream) const { return stream.receive.target() - base_; }
  void give_back(Stream& stream, std::uint32_t n);
  Stream* largest() const;

  const std::uint32_t base_, most_;
  Grown grown_;  // the longest unused first
  std::size_t used_ = 0;
};

}  // namespace leat::mux
