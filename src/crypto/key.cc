#include "crypto/key.h"

#include <sodium.h>

#include <algorithm>

#include "base/crypto_util.h"

namespace leat::crypto {

void wipe(MutableBytes secret) { sodium_memzero(secret.data(), secret.size()); }

Key::Key(std::span<const std::uint8_t, kKeySize> bytes) {
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

Key::Key(Key&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }

Key& Key::operator=(Key&& other) noexcept {
  if (this != &other) {
    bytes_ = other.bytes_;
    wipe(other.bytes_);
  }
  return *this;
}

bool operator==(const Key& a, const Key& b) { return constant_time_equal(a.bytes_, b.bytes_); }

}  // namespace leat::crypto
