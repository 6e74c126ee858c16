// The SymmetricState of the Noise Protocol Framework (revision 34, §5.2) for 25519, AESGCM and
// SHA256, under the names of the specification. Internal to src/crypto.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/crypto_util.h"
#include "crypto/aead.h"
#include "crypto/key.h"

namespace leat::crypto {

class SymmetricState {
 public:
  // More than 32 characters are hashed, fewer are filled with zeros.
  explicit SymmetricState(std::string_view protocol_name);

  void mix_hash(Bytes data);
  void mix_key(Bytes input);
  void mix_key_and_hash(Bytes input);  // for a psk
  // Without a key text is copied, with one `out` takes kTagSize more. The sizes of `out` must fit;
  // `out` and the input do not overlap.
  void encrypt_and_hash(Bytes plaintext, MutableBytes out);
  [[nodiscard]] bool decrypt_and_hash(Bytes ciphertext, MutableBytes out);
  std::pair<Key, Key> split() const;

  const Sha256& hash() const { return hash_; }

 private:
  struct Cipher {  // CipherState, §5.1
    explicit Cipher(const Key& key) : aead(key) {}
    AesGcm aead;
    std::uint64_t counter = 0;
  };

  Key chaining_;
  Sha256 hash_{};
  std::optional<Cipher> cipher_;
};

// The nonce of §12.4: 32 zero bits and the counter.
std::array<std::uint8_t, AesGcm::kNonceSize> noise_nonce(std::uint64_t counter);

}  // namespace leat::crypto
