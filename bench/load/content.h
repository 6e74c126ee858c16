// What a bulk stream of the load generator carries: bytes that are a function of the stream's seed
// and the offset alone, so that either end makes or checks any part of it without state. Blocks are
// slices of one table of random bytes, chosen by a hash of seed and block number: to make them is a
// look-up and to check them a memcmp, so that checking every byte is not what a benchmark measures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/limits.h"

namespace leat::bench {

class Content {
 public:
  static constexpr std::size_t kBlock = 16 * limits::KiB;

  // Of every `sample` blocks one is checked; 1: all of them.
  explicit Content(std::uint64_t seed, std::uint32_t sample = 1) : seed_(seed), sample_(sample) {}

  // What stands at `offset`, to the end of its block: 1 to kBlock bytes.
  Bytes at(std::uint64_t offset) const;

  // The offset of the first block of `received` (which begins at `offset`) that is not as it should
  // be, or of its received part.
  std::optional<std::uint64_t> wrong(std::uint64_t offset, Bytes received) const;

 private:
  std::uint64_t seed_;
  std::uint32_t sample_;
};

}  // namespace leat::bench
