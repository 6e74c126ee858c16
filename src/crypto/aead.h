// The two ciphers with authentication: AES-256-GCM over OpenSSL, and NaCl's XSalsa20-Poly1305 of
// libsodium's Salsa20 and OpenSSL's Poly1305, which is three times as fast as libsodium's. Both
// work in place, keep their key between calls and allocate nothing per call. Nonces are the
// caller's to keep unique.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "crypto/key.h"

typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_mac_ctx_st EVP_MAC_CTX;

namespace leat::crypto {

inline constexpr std::size_t kTagSize = 16;

// NIST SP 800-38D, nonces of 96 bits.
class AesGcm {
 public:
  static constexpr std::size_t kNonceSize = 12;
  using Nonce = std::span<const std::uint8_t, kNonceSize>;

  explicit AesGcm(const Key& key);
  void set_key(const Key& key);  // the old one is overwritten

  void seal(Nonce nonce, Bytes associated, MutableBytes text,
            std::span<std::uint8_t, kTagSize> tag);
  // False: not authentic, and `text` is zeros.
  [[nodiscard]] bool open(Nonce nonce, Bytes associated, MutableBytes text,
                          std::span<const std::uint8_t, kTagSize> tag);

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const;  // wipes
  };
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
};

// crypto_box_afternm of NaCl, tag and ciphertext apart.
class NaclBox {
 public:
  static constexpr std::size_t kNonceSize = 24;
  using Nonce = std::span<const std::uint8_t, kNonceSize>;

  explicit NaclBox(const Key& key);
  void set_key(const Key& key) { key_ = key.copy(); }

  void seal(Nonce nonce, MutableBytes text, std::span<std::uint8_t, kTagSize> tag);
  // False: not authentic, and `text` is zeros.
  [[nodiscard]] bool open(Nonce nonce, MutableBytes text,
                          std::span<const std::uint8_t, kTagSize> tag);

 private:
  struct Free {
    void operator()(EVP_MAC_CTX* context) const;
  };

  void make_tag(Bytes key, Bytes text, std::span<std::uint8_t, kTagSize> tag);

  Key key_;
  std::unique_ptr<EVP_MAC_CTX, Free> mac_;  // wiped of each record's key as soon as it has the tag
};

}  // namespace leat::crypto
