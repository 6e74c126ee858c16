// X25519 (RFC 7748): key pairs and the one operation on them. The public key is a type of its own,
// so that it is never mistaken for an Ed25519 identity.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "crypto/key.h"

namespace leat::crypto {

struct X25519Key {
  std::array<std::uint8_t, 32> bytes{};
  friend bool operator==(const X25519Key&, const X25519Key&) = default;
};

class KeyPair {
 public:
  static KeyPair generate();
  explicit KeyPair(Key secret);

  const Key& secret() const { return secret_; }
  const X25519Key& public_key() const { return public_; }
  // The shared secret with the holder of `peer`; nullopt when it would be zeros, that is for points
  // of low order (RFC 7748 §6.1).
  std::optional<Key> agree(const X25519Key& peer) const;

 private:
  Key secret_;
  X25519Key public_;
};

}  // namespace leat::crypto
