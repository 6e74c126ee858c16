// Thirty-two secret bytes: a private key, a chaining key, a pre-shared key. They are wiped when
// they go and when they are moved away, compare in constant time, and are copied only by name.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace leat::crypto {

inline constexpr std::size_t kKeySize = 32;

// Not optimised away.
void wipe(MutableBytes secret);

class Key {
 public:
  Key() = default;  // zeros
  explicit Key(std::span<const std::uint8_t, kKeySize> bytes);
  Key(Key&& other) noexcept;
  Key& operator=(Key&& other) noexcept;
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  ~Key() { wipe(bytes_); }

  Key copy() const { return Key(bytes_); }
  // The one way to read the bytes, and the one to write them.
  std::span<const std::uint8_t, kKeySize> reveal() const { return bytes_; }
  std::span<std::uint8_t, kKeySize> fill() { return bytes_; }
  friend bool operator==(const Key& a, const Key& b);

 private:
  std::array<std::uint8_t, kKeySize> bytes_{};
};

}  // namespace leat::crypto
