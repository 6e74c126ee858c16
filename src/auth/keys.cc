#include "auth/keys.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "auth/strict_json.h"
#include "base/crypto_util.h"
#include "base/file.h"

namespace leat::auth {
namespace {

template <auto free>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    free(object);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Free<BIO_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, Free<BN_free>>;

constexpr std::size_t kEcCoordinate = 32;  // P-256

// A number of the key's, in hex; empty: it has none.
std::string number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return {};
  const NumberPtr number(raw);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(BN_num_bytes(raw)));
  BN_bn2bin(raw, bytes.data());
  return hex(bytes);
}

// Of its value, in whichever form it was written; nullopt: it has none, like the point at infinity.
std::optional<Sha256> fingerprint_of(Algorithm algorithm, const EVP_PKEY* key) {
  std::array<std::string, 2> value;
  if (algorithm == Algorithm::rs256) {
    value = {number_of(key, OSSL_PKEY_PARAM_RSA_N), number_of(key, OSSL_PKEY_PARAM_RSA_E)};
  } else if (algorithm == Algorithm::es256) {
    value = {number_of(key, OSSL_PKEY_PARAM_EC_PUB_X), number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y)};
  } else {
    std::array<std::uint8_t, 32> raw;  // RFC 8032 §5.1.5
    std::size_t size = raw.size();
    if (EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1) return std::nullopt;
    value = {hex(raw), "-"};
  }
  if (value[0].empty() || value[1].empty()) return std::nullopt;
  return sha256(as_bytes(std::string(name(algorithm)) + ' ' + value[0] + ' ' + value[1]));
}

// --- signatures ---

bool verify_hmac(const Secret& secret, Bytes message, Bytes signature) {
  std::array<std::uint8_t, 32> mac;
  unsigned size = mac.size();
  const std::string_view key = secret.reveal();
  return HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(),
              message.size(), mac.data(), &size) != nullptr &&
         constant_time_equal(mac, signature);
}

// The two numbers of fixed width (RFC 7518 §3.4) as OpenSSL wants them; empty if they are not that.
std::vector<std::uint8_t> der_of(Bytes signature) {
  if (signature.size() != 2 * kEcCoordinate) return {};
  NumberPtr r(BN_bin2bn(signature.data(), kEcCoordinate, nullptr));
  NumberPtr s(BN_bin2bn(signature.data() + kEcCoordinate, kEcCoordinate, nullptr));
  const std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>> pair(ECDSA_SIG_new());
  if (!r || !s || !pair || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();
  (void)s.release();
  std::uint8_t* data = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &data);
  std::vector<std::uint8_t> out;
  if (size > 0) out.assign(data, data + size);
  OPENSSL_free(data);
  return out;
}

bool verify_public(Algorithm algorithm, EVP_PKEY* key, Bytes message, Bytes signature) {
  const std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  const EVP_MD* const digest = algorithm == Algorithm::eddsa ? nullptr : EVP_sha256();
  const bool good = context &&
                    EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
                    EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                                     message.data(), message.size()) == 1;
  ERR_clear_error();
  return good;
}

// --- JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2) ---

std::string text_of(const nlohmann::json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Raw bytes of a member in base64url; empty: missing or malformed.
std::string raw_of(const nlohmann::json& object, const char* member) {
  return unbase64url(text_of(object, member)).value_or("");
}

bool is_for_verifying(const nlohmann::json& jwk) {
  if (jwk.contains("use") && text_of(jwk, "use") != "sig") return false;
  const auto operations = jwk.find("key_ops");
  if (operations == jwk.end()) return true;
  return operations->is_array() &&
         std::find(operations->begin(), operations->end(), "verify") != operations->end();
}

KeyPtr from_parameters(const char* type, OSSL_PARAM_BLD* builder) {
  const std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>> parameters(
      OSSL_PARAM_BLD_to_param(builder));
  const std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>> context(
      EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return KeyPtr(key);
}

using BuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;

KeyPtr rsa_key(const std::string& modulus, const std::string& exponent) {
  if (modulus.size() > kRsaBitsMax / 8 || exponent.size() > 8) return nullptr;
  const auto number = [](const std::string& raw) {
    return NumberPtr(BN_bin2bn(as_bytes(raw).data(), static_cast<int>(raw.size()), nullptr));
  };
  const NumberPtr n = number(modulus), e = number(exponent);
  const BuilderPtr builder(OSSL_PARAM_BLD_new());
  if (!builder || !n || !e ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return nullptr;
  }
  return from_parameters("RSA", builder.get());
}

KeyPtr ec_key(const std::string& x, const std::string& y) {
  if (x.size() != kEcCoordinate || y.size() != kEcCoordinate) return nullptr;
  const std::string point = "\x04" + x + y;  // uncompressed; a point off the curve is refused
  const BuilderPtr builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return nullptr;
  }
  return from_parameters("EC", builder.get());
}

bool has_small_exponent(const EVP_PKEY* key) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &raw) != 1) return false;
  const NumberPtr exponent(raw);
  return BN_is_odd(raw) == 1 && BN_is_one(raw) == 0 && BN_num_bits(raw) <= kRsaExponentBits;
}

// What a key of this type verifies; nullopt: nothing we have, or a key too weak for it.
std::optional<Algorithm> algorithm_of(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    const int bits = EVP_PKEY_get_bits(key);
    if (bits < kRsaBitsMin || bits > kRsaBitsMax || !has_small_exponent(key)) return std::nullopt;
    return Algorithm::rs256;
  }
  if (EVP_PKEY_is_a(key, "EC") == 1) {
    std::array<char, 64> group{};
    std::size_t size = 0;
    const bool p256 = EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
                      std::string_view(group.data()) == "prime256v1";
    return p256 ? std::optional(Algorithm::es256) : std::nullopt;
  }
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return Algorithm::eddsa;
  return std::nullopt;
}

std::optional<Key> key_of(const nlohmann::json& jwk) {
  if (!jwk.is_object() || !is_for_verifying(jwk)) return std::nullopt;
  const std::string type = text_of(jwk, "kty"), curve = text_of(jwk, "crv"),
                    id = text_of(jwk, "kid");
  const auto said = [&](Algorithm algorithm) {  // "alg", where it is there, must agree
    return !jwk.contains("alg") || text_of(jwk, "alg") == name(algorithm);
  };
  if (type == "oct") {
    Secret secret(raw_of(jwk, "k"));
    if (secret.reveal().size() < kSecretMin || !said(Algorithm::hs256)) return std::nullopt;
    return Key(id, std::move(secret));
  }
  KeyPtr key;
  if (type == "RSA") key = rsa_key(raw_of(jwk, "n"), raw_of(jwk, "e"));
  if (type == "EC" && curve == "P-256") key = ec_key(raw_of(jwk, "x"), raw_of(jwk, "y"));
  if (type == "OKP" && curve == "Ed25519") {
    const std::string raw = raw_of(jwk, "x");
    key.reset(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, as_bytes(raw).data(), raw.size()));
  }
  ERR_clear_error();
  auto made = Key::make(id, key.release());
  return made && said(made->algorithm()) ? std::move(made) : std::nullopt;
}

// The beginning of a DER SEQUENCE (X.690 §8.1) whose first element is another, or a number: what
// every public key and certificate is, whole or cut off.
bool is_sequence(std::string_view raw) {
  if (raw.size() < 2 || raw[0] != 0x30) return false;
  const auto length = static_cast<std::uint8_t>(raw[1]);
  const std::size_t first = 2u + (length < 0x80 ? 0u : length & 0x7fu);
  return first < raw.size() && (raw[first] == 0x30 || raw[first] == 0x02);
}

// Has a part of what is handed to everybody: PEM, JWK, an SSH key's name, the address of a JWKS.
bool reads_like_a_key(std::string_view text) {
  constexpr std::array<std::string_view, 6> kParts = {"-----", "\"kty\"",     "\"keys\"",
                                                      "ssh-",  "ecdsa-sha2-", "://"};
  return std::ranges::any_of(kParts,
                             [&](std::string_view part) { return text.find(part) != text.npos; });
}

// Whoever has a text that is public could sign with it: a file is not taken for a secret because
// it is nothing else, a key file with a fault least of all.
bool may_be_secret(std::string_view text) {
  constexpr std::string_view kOpening = "{[<";
  const bool line = std::ranges::all_of(text, [](char c) { return c >= ' ' && c < '\x7f'; });
  if (text.size() < kSecretMin || !line) return false;
  if (kOpening.find(text.front()) != kOpening.npos || reads_like_a_key(text)) return false;
  std::string url(text.substr(0, text.find('=')));
  url.resize(url.size() / 4 * 4);  // whole bytes, also of what was cut off
  std::ranges::replace(url, '+', '-');
  std::ranges::replace(url, '/', '_');
  for (const auto& raw : {unbase64url(url), unhex(text)}) {
    if (raw && (is_sequence(*raw) || reads_like_a_key(*raw))) return false;
  }
  return true;
}

}  // namespace

std::string_view name(Algorithm algorithm) {
  constexpr std::array<std::string_view, 4> kNames = {"HS256", "RS256", "ES256", "EdDSA"};
  return kNames[static_cast<std::size_t>(algorithm)];
}

std::optional<Algorithm> algorithm_of(std::string_view text) {
  for (const Algorithm each :
       {Algorithm::hs256, Algorithm::rs256, Algorithm::es256, Algorithm::eddsa}) {
    if (name(each) == text) return each;
  }
  return std::nullopt;
}

void Key::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

std::optional<Key> Key::make(std::string id, EVP_PKEY* key) {
  KeyPtr ours(key);
  const auto algorithm = key != nullptr ? algorithm_of(key) : std::nullopt;
  if (!algorithm) return std::nullopt;
  const auto fingerprint = fingerprint_of(*algorithm, key);
  ERR_clear_error();
  if (!fingerprint) return std::nullopt;
  return Key(*algorithm, std::move(id), ours.release(), *fingerprint);
}

Key::Key(Algorithm algorithm, std::string id, EVP_PKEY* key, const Sha256& fingerprint)
    : algorithm_(algorithm), id_(std::move(id)), key_(key, Free()), fingerprint_(fingerprint) {}

Key::Key(std::string id, Secret secret)
    : algorithm_(Algorithm::hs256),
      id_(std::move(id)),
      secret_(std::move(secret)),
      fingerprint_(sha256(as_bytes(secret_.reveal()))) {}

int Key::rsa_bits() const {
  return algorithm_ == Algorithm::rs256 ? EVP_PKEY_get_bits(key_.get()) : 0;
}

bool Key::verify(Bytes message, Bytes signature) const {
  switch (algorithm_) {
    case Algorithm::hs256:
      return verify_hmac(secret_, message, signature);
    case Algorithm::es256: {
      const std::vector<std::uint8_t> der = der_of(signature);
      return !der.empty() && verify_public(algorithm_, key_.get(), message, der);
    }
    case Algorithm::rs256:
    case Algorithm::eddsa:
      return verify_public(algorithm_, key_.get(), message, signature);
  }
  return false;
}

// --- files ---

Result<void> KeySet::add_jwks(std::string_view text) {
  const auto object = parse_object(text);
  if (!object) return fail(Code::KEY_FILE, "not a JWKS: expected one JSON object, no member twice");
  // A single JWK is taken as a set of one.
  const nlohmann::json one = nlohmann::json::array({*object});
  const auto found = object->find("keys");
  const nlohmann::json& all = found == object->end() ? one : *found;
  if (!all.is_array()) return fail(Code::KEY_FILE, "not a JWKS: \"keys\" is no list");
  if (all.size() > kKeys) return fail(Code::KEY_FILE, "more than 64 keys");
  for (const nlohmann::json& each : all) {
    if (auto key = key_of(each)) keys_.push_back(std::move(*key));
  }
  return {};
}

Result<void> KeySet::add_pem(std::string_view text) {
  const BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  char *type = nullptr, *header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  Result<void> result;
  while (bio && result && PEM_read_bio(bio.get(), &type, &header, &data, &size) == 1) {
    const unsigned char* at = data;
    KeyPtr key;
    const std::string_view kind(type);
    if (kind == "PUBLIC KEY") {
      key.reset(d2i_PUBKEY(nullptr, &at, size));
    } else if (kind == "CERTIFICATE") {
      const std::unique_ptr<X509, Free<X509_free>> certificate(d2i_X509(nullptr, &at, size));
      if (certificate) key.reset(X509_get_pubkey(certificate.get()));
    }
    auto made = Key::make({}, key.release());
    if (!made) {
      result = fail(Code::KEY_FILE, std::string(kind) +
                                        ": expected public keys or certificates of RSA (2048 to "
                                        "8192 bits), P-256 or Ed25519");
    } else if (keys_.size() == kKeys) {
      result = fail(Code::KEY_FILE, "more than 64 keys");
    } else {
      keys_.push_back(std::move(*made));
    }
    OPENSSL_free(type);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(size));
  }
  ERR_clear_error();
  return result;
}

Result<KeySet> KeySet::parse(std::string_view text, const KeyBounds& bounds) {
  constexpr std::string_view kBlank = " \t\r\n", kByteOrderMark = "\xef\xbb\xbf";
  if (text.size() > kKeyFile) return fail(Code::KEY_FILE, "larger than 64 KiB");
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  text = text.substr(0, text.find_last_not_of(kBlank) + 1);
  KeySet set;
  Result<void> added;
  if (text.starts_with('{')) {
    added = set.add_jwks(text);
  } else if (text.find("-----BEGIN ") != text.npos) {
    added = set.add_pem(text);
  } else if (may_be_secret(text)) {
    set.keys_.emplace_back(std::string(), Secret(std::string(text)));
  } else {
    return fail(Code::KEY_FILE,
                "expected a JWKS, public keys in PEM, or a secret of 32 bytes or more: a line of "
                "printable ASCII that is no form of a public key");
  }
  if (!added) return tl::unexpected(added.error());
  if (set.keys_.empty()) {
    return fail(Code::KEY_FILE, "no key that verifies HS256, RS256, ES256 or EdDSA");
  }
  if (set.keys_.size() > bounds.keys) {
    return fail(Code::KEY_FILE, "more than " + std::to_string(bounds.keys) + " keys");
  }
  for (const Key& key : set.keys_) {
    if (key.rsa_bits() <= bounds.rsa_bits) continue;
    return fail(Code::KEY_FILE,
                "an RSA key of more than " + std::to_string(bounds.rsa_bits) + " bits");
  }
  return set;
}

Result<KeySet> KeySet::load(const std::string& path) {
  auto text = read_file(path, Code::KEY_FILE);
  if (!text) return tl::unexpected(text.error());
  const Secret wiped(std::move(*text));
  auto set = parse(wiped.reveal());
  if (!set) return fail(set.error().code, path + ": " + set.error().detail);
  if (set->has_secret()) {
    const auto is_private = read_private_file(path, Code::KEY_FILE);
    if (!is_private) return tl::unexpected(is_private.error());
  }
  return set;
}

bool KeySet::has(const Sha256& fingerprint) const {
  return std::ranges::any_of(keys_,
                             [&](const Key& key) { return key.fingerprint() == fingerprint; });
}

bool KeySet::has_secret() const {
  return std::ranges::any_of(keys_,
                             [](const Key& key) { return key.algorithm() == Algorithm::hs256; });
}

}  // namespace leat::auth
