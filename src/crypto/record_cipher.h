// One direction of a channel as its cipher sees it: bodies are sealed and opened in place under a
// key and a counter that only rises. Knows nothing of types and limits. Internal to src/crypto.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>

#include "base/bytes.h"
#include "crypto/aead.h"
#include "crypto/key.h"
#include "crypto/record.h"

namespace leat::crypto {

class RecordCipher {
 public:
  RecordCipher(Suite suite, const Key& key, std::uint64_t counter = 0);

  // Where the plaintext of a body begins: behind the tag for `nacl`.
  std::size_t offset() const { return std::holds_alternative<NaclBox>(cipher_) ? kTagSize : 0; }
  MutableBytes plaintext(MutableBytes body) const {
    return body.subspan(offset(), body.size() - kTagSize);
  }
  bool exhausted() const { return counter_ == UINT64_MAX; }

  // `body` has at least kTagSize bytes; each call uses up one counter, of which one must be left.
  void seal(MutableBytes body);
  // False: not authentic, and the plaintext is zeros.
  [[nodiscard]] bool open(MutableBytes body);
  // REKEY of Noise §4.2; the counter goes on.
  void rekey();

 private:
  std::variant<AesGcm, NaclBox> cipher_;
  std::uint64_t counter_;
};

}  // namespace leat::crypto
