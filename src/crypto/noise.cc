#include "crypto/noise.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "crypto/hkdf.h"

namespace leat::crypto {
namespace {

// Secrets that HKDF makes together.
template <std::size_t N>
struct Keys {
  Keys(const Key& chaining, Bytes input) { hkdf_sha256(chaining.reveal(), input, {}, bytes); }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;
  ~Keys() { wipe(bytes); }

  template <std::size_t I>
  Key get() const {
    static_assert(I < N);
    return Key(std::span(bytes).template subspan<I * kKeySize, kKeySize>());
  }

  std::array<std::uint8_t, N * kKeySize> bytes;
};

}  // namespace

std::array<std::uint8_t, AesGcm::kNonceSize> noise_nonce(std::uint64_t counter) {
  std::array<std::uint8_t, AesGcm::kNonceSize> nonce{};
  store_be64(nonce.data() + 4, counter);
  return nonce;
}

SymmetricState::SymmetricState(std::string_view protocol_name) {
  if (protocol_name.size() <= hash_.size()) {
    std::copy(protocol_name.begin(), protocol_name.end(), hash_.begin());
  } else {
    hash_ = sha256(as_bytes(protocol_name));
  }
  chaining_ = Key(hash_);
}

void SymmetricState::mix_hash(Bytes data) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, hash_.data(), hash_.size());
  crypto_hash_sha256_update(&state, data.data(), data.size());
  crypto_hash_sha256_final(&state, hash_.data());
}

void SymmetricState::mix_key(Bytes input) {
  const Keys<2> keys(chaining_, input);
  chaining_ = keys.get<0>();
  cipher_.emplace(keys.get<1>());
}

void SymmetricState::mix_key_and_hash(Bytes input) {
  const Keys<3> keys(chaining_, input);
  chaining_ = keys.get<0>();
  mix_hash(keys.get<1>().reveal());
  cipher_.emplace(keys.get<2>());
}

void SymmetricState::encrypt_and_hash(Bytes plaintext, MutableBytes out) {
  std::copy(plaintext.begin(), plaintext.end(), out.begin());
  if (cipher_) {
    assert(out.size() == plaintext.size() + kTagSize);
    cipher_->aead.seal(noise_nonce(cipher_->counter++), hash_, out.first(plaintext.size()),
                       out.last<kTagSize>());
  }
  mix_hash(out);
}

bool SymmetricState::decrypt_and_hash(Bytes ciphertext, MutableBytes out) {
  std::copy_n(ciphertext.begin(), out.size(), out.begin());
  if (cipher_) {
    assert(ciphertext.size() == out.size() + kTagSize);
    if (!cipher_->aead.open(noise_nonce(cipher_->counter++), hash_, out,
                            ciphertext.last<kTagSize>())) {
      return false;
    }
  }
  mix_hash(ciphertext);
  return true;
}

std::pair<Key, Key> SymmetricState::split() const {
  const Keys<2> keys(chaining_, {});
  return {keys.get<0>(), keys.get<1>()};
}

}  // namespace leat::crypto
