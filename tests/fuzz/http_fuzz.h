// What the HTTP fuzz targets share: an input is one byte of choices and the bytes to read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/bytes.h"

namespace leat::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

// Cuts that depend on the bytes alone, so that an input replays: single bytes, or runs whose
// lengths the input itself names.
inline std::vector<Bytes> pieces(Bytes bytes, bool single) {
  std::vector<Bytes> out;
  while (!bytes.empty()) {
    const std::size_t n =
        single ? 1 : std::min<std::size_t>(bytes.size(), 1u + bytes[bytes.size() / 2] % 32u);
    out.push_back(bytes.first(n));
    bytes = bytes.subspan(n);
  }
  return out;
}

}  // namespace leat::fuzz
