#include "load/content.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace leat::bench {
namespace {

constexpr std::size_t kStarts = 256 * limits::KiB;  // a power of two that stays in the cache

// The finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

const std::uint8_t* table() {
  static const std::vector<std::uint8_t> bytes = [] {
    std::vector<std::uint8_t> made(kStarts + Content::kBlock);
    for (std::size_t i = 0; i < made.size(); i += 8) {
      const std::uint64_t word = mix(i);
      std::memcpy(&made[i], &word, sizeof word);
    }
    return made;
  }();
  return bytes.data();
}

}  // namespace

Bytes Content::at(std::uint64_t offset) const {
  const std::uint64_t block = offset / kBlock;
  const std::size_t within = offset % kBlock;
  const std::size_t start = mix(seed_ ^ mix(block)) % kStarts;
  return {table() + start + within, kBlock - within};
}

std::optional<std::uint64_t> Content::wrong(std::uint64_t offset, Bytes received) const {
  while (!received.empty()) {
    const std::size_t n = std::min<std::size_t>(kBlock - offset % kBlock, received.size());
    if (offset / kBlock % sample_ == 0 && std::memcmp(at(offset).data(), received.data(), n) != 0) {
      return offset;
    }
    offset += n;
    received = received.subspan(n);
  }
  return std::nullopt;
}

}  // namespace leat::bench
