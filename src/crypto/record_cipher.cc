#include "crypto/record_cipher.h"

#include <array>
#include <cassert>

#include "crypto/noise.h"

namespace leat::crypto {
namespace {

std::variant<AesGcm, NaclBox> make(Suite suite, const Key& key) {
  if (suite == Suite::nacl) return NaclBox(key);
  return AesGcm(key);
}

std::array<std::uint8_t, NaclBox::kNonceSize> nacl_nonce(std::uint64_t counter) {
  std::array<std::uint8_t, NaclBox::kNonceSize> nonce{};
  store_be64(nonce.data() + 16, counter);
  return nonce;
}

}  // namespace

RecordCipher::RecordCipher(Suite suite, const Key& key, std::uint64_t counter)
    : cipher_(make(suite, key)), counter_(counter) {}

void RecordCipher::seal(MutableBytes body) {
  assert(!exhausted());
  const std::uint64_t counter = counter_++;
  if (auto* const gcm = std::get_if<AesGcm>(&cipher_)) {
    gcm->seal(noise_nonce(counter), {}, plaintext(body), body.last<kTagSize>());
  } else {
    std::get<NaclBox>(cipher_).seal(nacl_nonce(counter), plaintext(body), body.first<kTagSize>());
  }
}

bool RecordCipher::open(MutableBytes body) {
  assert(!exhausted());
  const std::uint64_t counter = counter_++;
  if (auto* const gcm = std::get_if<AesGcm>(&cipher_)) {
    return gcm->open(noise_nonce(counter), {}, plaintext(body), body.last<kTagSize>());
  }
  return std::get<NaclBox>(cipher_).open(nacl_nonce(counter), plaintext(body),
                                         body.first<kTagSize>());
}

void RecordCipher::rekey() {
  Key next;  // encrypted where it lies; the tag is not used
  std::array<std::uint8_t, kTagSize> tag;
  if (auto* const gcm = std::get_if<AesGcm>(&cipher_)) {
    gcm->seal(noise_nonce(UINT64_MAX), {}, next.fill(), tag);
    gcm->set_key(next);
  } else {
    auto& box = std::get<NaclBox>(cipher_);
    box.seal(nacl_nonce(UINT64_MAX), next.fill(), tag);
    box.set_key(next);
  }
}

}  // namespace leat::crypto
