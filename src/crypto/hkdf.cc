#include "crypto/hkdf.h"

#include <sodium.h>

#include <algorithm>
#include <cassert>

#include "crypto/key.h"

namespace leat::crypto {
namespace {

class Hmac {
 public:
  explicit Hmac(Bytes key) { crypto_auth_hmacsha256_init(&state_, key.data(), key.size()); }
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;
  ~Hmac() { sodium_memzero(&state_, sizeof state_); }

  Hmac& add(Bytes data) {
    crypto_auth_hmacsha256_update(&state_, data.data(), data.size());
    return *this;
  }
  void finish(MutableBytes out) { crypto_auth_hmacsha256_final(&state_, out.data()); }

 private:
  crypto_auth_hmacsha256_state state_;
};

}  // namespace

void hkdf_sha256(Bytes salt, Bytes input, Bytes info, MutableBytes out) {
  assert(out.size() <= 255 * kKeySize);
  const Key none;  // what stands for no salt (§2.2)
  Key extracted, block;
  Hmac(salt.empty() ? none.reveal() : salt).add(input).finish(extracted.fill());
  Bytes previous;
  for (std::uint8_t number = 1; !out.empty(); ++number) {
    Hmac(extracted.reveal()).add(previous).add(info).add(Bytes(&number, 1)).finish(block.fill());
    previous = block.reveal();
    const std::size_t part = std::min(out.size(), kKeySize);
    std::copy_n(previous.begin(), part, out.begin());
    out = out.subspan(part);
  }
}

}  // namespace leat::crypto
