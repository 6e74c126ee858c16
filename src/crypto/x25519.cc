#include "crypto/x25519.h"

#include <sodium.h>

#include <cstdlib>
#include <utility>

#include "base/crypto_util.h"

namespace leat::crypto {
namespace {

// Chooses the implementation that fits the processor; without it libsodium takes the portable one.
void use_sodium() {
  static const int ready = sodium_init();
  if (ready < 0) std::abort();  // no randomness
}

}  // namespace

KeyPair KeyPair::generate() {
  Key secret;
  random_bytes(secret.fill());
  return KeyPair(std::move(secret));
}

KeyPair::KeyPair(Key secret) : secret_(std::move(secret)) {
  use_sodium();
  crypto_scalarmult_base(public_.bytes.data(), secret_.reveal().data());
}

std::optional<Key> KeyPair::agree(const X25519Key& peer) const {
  std::optional<Key> shared(std::in_place);
  if (crypto_scalarmult(shared->fill().data(), secret_.reveal().data(), peer.bytes.data()) != 0) {
    return std::nullopt;
  }
  return shared;
}

}  // namespace leat::crypto
