// Makes keys and signs tokens, as an identity provider would: what the verifier is tried with.
#pragma once

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto_util.h"

namespace leat::auth::test {

inline std::string encode(std::string_view text) { return base64url(as_bytes(text)); }

class Signer {
 public:
  static Signer rsa(unsigned bits = 2048) {
    return Signer("RS256", EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{bits}));
  }
  static Signer ec(const char* curve = "P-256") {
    return Signer("ES256", EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
  }
  static Signer ed25519() {
    return Signer("EdDSA", EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  }
  static Signer hmac(std::string secret) {
    Signer signer("HS256", nullptr);
    signer.secret_ = std::move(secret);
    return signer;
  }

  const std::string& algorithm() const { return algorithm_; }
  std::string public_pem() const { return pem(PEM_write_bio_PUBKEY); }
  std::string private_pem() const {
    return pem([](BIO* bio, EVP_PKEY* key) {
      return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
  }

  std::string signature(std::string_view message) const {
    if (!key_) {
      std::string mac(32, '\0');
      HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), as_bytes(message).data(),
           message.size(), reinterpret_cast<unsigned char*>(mac.data()), nullptr);
      return mac;
    }
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                    EVP_MD_CTX_free);
    const EVP_MD* digest = algorithm_ == "EdDSA" ? nullptr : EVP_sha256();
    EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get());
    std::string out(1024, '\0');
    std::size_t size = out.size();
    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                   as_bytes(message).data(), message.size());
    out.resize(size);
    return algorithm_ == "ES256" ? raw(out) : out;
  }

  std::string sign(std::string_view header, std::string_view payload) const {
    const std::string message = encode(header) + "." + encode(payload);
    return message + "." + encode(signature(message));
  }
  std::string sign(std::string_view payload) const {
    return sign("{\"alg\":\"" + algorithm_ + "\"}", payload);
  }

 private:
  Signer(std::string algorithm, EVP_PKEY* key)
      : algorithm_(std::move(algorithm)), key_(key, EVP_PKEY_free) {}

  template <typename F>
  std::string pem(F write) const {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio, key_.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string out(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return out;
  }
  static std::string raw(const std::string& der) {
    const unsigned char* at = as_bytes(der).data();
    ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    std::string out(64, '\0');
    auto* to = reinterpret_cast<unsigned char*>(out.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), to, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), to + 32, 32);
    ECDSA_SIG_free(pair);
    return out;
  }

  std::string algorithm_;
  std::shared_ptr<EVP_PKEY> key_;
  std::string secret_;
};

}  // namespace leat::auth::test
