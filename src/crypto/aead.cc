#include "crypto/aead.h"

#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/crypto_util.h"

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

// --- NaCl ---

namespace {

// Salsa20 for one record, under a key of its own. Of what it gives the first 32 bytes are the key
// of the tag, and the text is joined with the rest (NaCl, crypto_secretbox).
class SalsaStream {
 public:
  SalsaStream(const Key& key, NaclBox::Nonce nonce)
      : nonce_(nonce.last<crypto_stream_salsa20_NONCEBYTES>()) {
    crypto_core_hsalsa20(key_.fill().data(), nonce.data(), key.reveal().data(), nullptr);
    crypto_stream_salsa20(block_.data(), block_.size(), nonce_.data(), key_.reveal().data());
  }
  ~SalsaStream() { wipe(block_); }
  SalsaStream(const SalsaStream&) = delete;
  SalsaStream& operator=(const SalsaStream&) = delete;

  Bytes tag_key() const { return Bytes(block_).first(kKeySize); }

  void join(MutableBytes text) const {
    const Bytes pad = Bytes(block_).subspan(kKeySize);
    const std::size_t begun = std::min(text.size(), pad.size());
    for (std::size_t i = 0; i < begun; ++i) text[i] ^= pad[i];
    const MutableBytes rest = text.subspan(begun);
    if (rest.empty()) return;
    crypto_stream_salsa20_xor_ic(rest.data(), rest.data(), rest.size(), nonce_.data(), 1,
                                 key_.reveal().data());
  }

 private:
  std::span<const std::uint8_t, crypto_stream_salsa20_NONCEBYTES> nonce_;
  Key key_;
  std::array<std::uint8_t, 64> block_;
};

EVP_MAC* poly1305() {
  static EVP_MAC* const fetched = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);
  return fetched;
}

}  // namespace

void NaclBox::Free::operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }

NaclBox::NaclBox(const Key& key) : key_(key.copy()), mac_(EVP_MAC_CTX_new(poly1305())) {
  if (!mac_) std::abort();
}

void NaclBox::make_tag(Bytes key, Bytes text, std::span<std::uint8_t, kTagSize> tag) {
  std::size_t size = 0;
  must(EVP_MAC_init(mac_.get(), key.data(), key.size(), nullptr));
  must(EVP_MAC_update(mac_.get(), text.data(), text.size()));
  must(EVP_MAC_final(mac_.get(), tag.data(), &size, tag.size()));
}

void NaclBox::seal(Nonce nonce, MutableBytes text, std::span<std::uint8_t, kTagSize> tag) {
  const SalsaStream stream(key_, nonce);
  stream.join(text);
  make_tag(stream.tag_key(), text, tag);
}

bool NaclBox::open(Nonce nonce, MutableBytes text, std::span<const std::uint8_t, kTagSize> tag) {
  const SalsaStream stream(key_, nonce);
  std::array<std::uint8_t, kTagSize> expected;
  make_tag(stream.tag_key(), text, expected);
  if (constant_time_equal(expected, tag)) {
    stream.join(text);
    return true;
  }
  wipe(text);
  return false;
}

}  // namespace leat::crypto
