// Keys that verify JSON web signatures (RFC 7515), and files of them. A key has one algorithm, said
// by its type or its file, never by the token it is to verify: a public key can then not be used as
// the secret of an HMAC, nor a token choose "none".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/crypto_util.h"
#include "base/error.h"
#include "base/secret.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace leat::auth {

enum class Algorithm : std::uint8_t { hs256, rs256, es256, eddsa };
std::string_view name(Algorithm algorithm);  // as in "alg": RFC 7518 §3.1, RFC 8037 §3.1
std::optional<Algorithm> algorithm_of(std::string_view name);

inline constexpr std::size_t kKeyFile = 64 * 1024;  // bytes of a file of keys
inline constexpr std::size_t kKeys = 64;            // in one file
inline constexpr std::size_t kSecretMin = 32;       // bytes: RFC 7518 §3.2
inline constexpr int kRsaBitsMin = 2048;            // RFC 7518 §3.3
inline constexpr int kRsaBitsMax = 8192;            // a longer one costs too much to verify
inline constexpr int kRsaExponentBits = 32;         // and so does a larger exponent

// What verifying may cost, where keys come from somebody else: a token without "kid" is tried with
// every key of its algorithm.
struct KeyBounds {
  std::size_t keys = kKeys;
  int rsa_bits = kRsaBitsMax;
};
inline constexpr KeyBounds kGuestKeys{8, 4096};

class Key {
 public:
  // Takes the key over, if there is one; nullopt: it is none that verifies here.
  static std::optional<Key> make(std::string id, EVP_PKEY* key);
  Key(std::string id, Secret secret);  // HS256

  Algorithm algorithm() const { return algorithm_; }
  const std::string& id() const { return id_; }  // "kid"; empty: none
  // Of what it verifies with, whatever it is called.
  const Sha256& fingerprint() const { return fingerprint_; }
  bool verify(Bytes message, Bytes signature) const;
  int rsa_bits() const;  // 0: it is none of RSA

 private:
  Key(Algorithm algorithm, std::string id, EVP_PKEY* key, const Sha256& fingerprint);

  struct Free {
    void operator()(EVP_PKEY* key) const;
  };
  Algorithm algorithm_;
  std::string id_;
  std::shared_ptr<EVP_PKEY> key_;
  Secret secret_;
  Sha256 fingerprint_;
};

class KeySet {
 public:
  // A JWKS (RFC 7517 §5), public keys or certificates in PEM, or the secret of HS256: a line of
  // kSecretMin printable ASCII characters or more that is no form of a public key; a secret of
  // other bytes is written as a JWK. A byte order mark and white space around it all are left out,
  // and so are keys of a JWKS that are not for verifying, or of algorithms we do not have; no key
  // that is left, or one beyond the bounds, is LEAT_KEY_FILE.
  static Result<KeySet> parse(std::string_view text, const KeyBounds& bounds = {});
  // The same of a file, which must have mode 0600 if there is a secret in it.
  static Result<KeySet> load(const std::string& path);

  const std::vector<Key>& keys() const { return keys_; }
  bool has(const Sha256& fingerprint) const;
  bool has_secret() const;

 private:
  Result<void> add_jwks(std::string_view text);
  Result<void> add_pem(std::string_view text);

  std::vector<Key> keys_;
};

}  // namespace leat::auth
