#include "crypto/aead.h"

#include <openssl/evp.h>
#include <sodium.h>

#include <array>
#include <cstdlib>

namespace leat::crypto {
namespace {

// What cannot fail with sound arguments and enough memory.
void must(int result) {
  if (result != 1) std::abort();
}

int length_of(Bytes data) { return static_cast<int>(data.size()); }

// GCM without this call for an empty span: a null output would mean associated data.
void update(EVP_CIPHER_CTX* context, MutableBytes text) {
  int done = 0;
  if (!text.empty()) {
    must(EVP_CipherUpdate(context, text.data(), &done, text.data(), length_of(text)));
  }
}

void begin(EVP_CIPHER_CTX* context, AesGcm::Nonce nonce, Bytes associated, int sealing) {
  int done = 0;
  must(EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), sealing));
  if (!associated.empty()) {
    must(EVP_CipherUpdate(context, nullptr, &done, associated.data(), length_of(associated)));
  }
}

}  // namespace

void AesGcm::Free::operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }

AesGcm::AesGcm(const Key& key) : context_(EVP_CIPHER_CTX_new()) {
  if (!context_) std::abort();
  must(EVP_CipherInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, key.reveal().data(), nullptr,
                         1));
}

void AesGcm::set_key(const Key& key) {
  must(EVP_CipherInit_ex(context_.get(), nullptr, nullptr, key.reveal().data(), nullptr, 1));
}

void AesGcm::seal(Nonce nonce, Bytes associated, MutableBytes text,
                  std::span<std::uint8_t, kTagSize> tag) {
  begin(context_.get(), nonce, associated, 1);
  update(context_.get(), text);
  int done = 0;
  must(EVP_CipherFinal_ex(context_.get(), tag.data(), &done));  // writes nothing, makes the tag
  must(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, tag.data()));
}

bool AesGcm::open(Nonce nonce, Bytes associated, MutableBytes text,
                  std::span<const std::uint8_t, kTagSize> tag) {
  std::array<std::uint8_t, kTagSize> expected;
  std::copy(tag.begin(), tag.end(), expected.begin());
  begin(context_.get(), nonce, associated, 0);
  update(context_.get(), text);
  must(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, expected.data()));
  int done = 0;
  std::array<std::uint8_t, kTagSize> rest;  // stays empty
  if (EVP_CipherFinal_ex(context_.get(), rest.data(), &done) == 1) return true;
  wipe(text);  // it holds what the forger wanted it to
  return false;
}

void NaclBox::seal(Nonce nonce, MutableBytes text, std::span<std::uint8_t, kTagSize> tag) const {
  crypto_box_detached_afternm(text.data(), tag.data(), text.data(), text.size(), nonce.data(),
                              key_.reveal().data());
}

bool NaclBox::open(Nonce nonce, MutableBytes text,
                   std::span<const std::uint8_t, kTagSize> tag) const {
  if (crypto_box_open_detached_afternm(text.data(), text.data(), tag.data(), text.size(),
                                       nonce.data(), key_.reveal().data()) == 0) {
    return true;
  }
  wipe(text);
  return false;
}

}  // namespace leat::crypto
