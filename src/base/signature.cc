#include "base/signature.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "base/file.h"

namespace leat {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, FreeBio>;

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_MD_CTX, FreeContext>;

// OpenSSL would ask the terminal for the passphrase of an encrypted key.
int no_passphrase(char*, int, int, void*) { return -1; }

EVP_PKEY* read_pem(std::string_view text) {
  const BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  return bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr) : nullptr;
}

Secret write_pem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_secmem()));  // wiped when freed
  if (!bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    std::abort();  // only without memory
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return Secret(std::string(data, static_cast<std::size_t>(size)));
}

}  // namespace

void SigningKey::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

SigningKey SigningKey::generate() {
  EVP_PKEY* const key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  if (key == nullptr) std::abort();  // no randomness or no memory
  return SigningKey(key);
}

Result<SigningKey> SigningKey::load_or_create(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) {
    // Two agents may start at once: the file that was there first is the identity of both.
    const SigningKey made = generate();
    const auto created =
        create_file(path, write_pem(made.key_.get()).reveal(), 0600, Code::KEY_FILE);
    if (!created) return tl::unexpected(created.error());
  }
  const auto text = read_private_file(path, Code::KEY_FILE);
  if (!text) return tl::unexpected(text.error());
  SigningKey key(read_pem(text->reveal()));
  if (!key.key_ || EVP_PKEY_get_id(key.key_.get()) != EVP_PKEY_ED25519) {
    return fail(Code::KEY_FILE, path + ": expected an unencrypted Ed25519 private key in PEM");
  }
  return key;
}

PublicKey SigningKey::public_key() const {
  PublicKey out;
  std::size_t size = out.size();
  if (EVP_PKEY_get_raw_public_key(key_.get(), out.data(), &size) != 1) std::abort();
  return out;
}

Signature SigningKey::sign(Bytes message) const {
  const ContextPtr context(EVP_MD_CTX_new());
  Signature out;
  std::size_t size = out.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) != 1) {
    std::abort();  // only without memory
  }
  return out;
}

bool verify(const PublicKey& key, Bytes message, Bytes signature) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> loaded(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()),
      EVP_PKEY_free);
  const ContextPtr context(EVP_MD_CTX_new());
  return loaded && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, loaded.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

}  // namespace leat
