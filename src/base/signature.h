// Ed25519 (RFC 8032) over EVP: the identity of an agent. The key file is PEM (PKCS #8), mode 0600.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace leat {

using PublicKey = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

class SigningKey {
 public:
  static SigningKey generate();
  // Reads the file, or makes key and file if there is none. Refuses one that group or others can
  // read (LEAT_KEY_FILE).
  static Result<SigningKey> load_or_create(const std::string& path);

  SigningKey(SigningKey&&) noexcept = default;
  SigningKey& operator=(SigningKey&&) noexcept = default;

  PublicKey public_key() const;
  Signature sign(Bytes message) const;

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const;
  };
  explicit SigningKey(EVP_PKEY* key) : key_(key) {}
  std::unique_ptr<EVP_PKEY, Free> key_;
};

bool verify(const PublicKey& key, Bytes message, Bytes signature);

}  // namespace leat
