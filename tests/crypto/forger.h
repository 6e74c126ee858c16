// Makes records that no Channel would: any type, any content size, any padding, under a key that is
// known.
#pragma once

#include <algorithm>
#include <cstdint>

#include "crypto/fixed.h"
#include "crypto/record_cipher.h"

namespace leat::crypto::test {

class Forger {
 public:
  Forger(Suite suite, const Key& key, std::uint64_t counter = 0) : cipher_(suite, key, counter) {}

  // `size`: what the inner header says of `rest`, which is content and padding.
  Buffer record(int type, std::size_t size, Bytes rest) {
    Buffer out(kRecordOverhead + rest.size());
    const MutableBytes body = std::span(out).subspan(kLengthSize);
    const MutableBytes plaintext = cipher_.plaintext(body);
    plaintext[0] = static_cast<std::uint8_t>(type);
    store_be16(plaintext.data() + 1, static_cast<std::uint16_t>(size));
    std::copy(rest.begin(), rest.end(), plaintext.begin() + kInnerHeader);
    cipher_.seal(body);
    store_be16(out.data(), static_cast<std::uint16_t>(body.size()));
    return out;
  }
  void rekey() { cipher_.rekey(); }

 private:
  RecordCipher cipher_;
};

}  // namespace leat::crypto::test
