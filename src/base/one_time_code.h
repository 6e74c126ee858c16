// A secret that lets somebody in once, soon: what joins a machine to a relay, and what pairs a
// device with an agent. Of the secret only a hash is kept. Where that is written down, under which
// id it is found, and that reading, judging and writing are one step, is the owner's affair.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/crypto_util.h"
#include "base/secret.h"

namespace leat {

struct OneTimeCode {
  static constexpr std::size_t kSecretSize = 16;  // bytes: 128 random bits
  static constexpr int kTries = 5;

  enum class State : std::uint8_t {
    good,
    used,
    over,  // its time, or its tries
  };

  static Secret make_secret();  // raw bytes

  Sha256 hash{};          // of the secret, by a function of the owner's; zeros once it is used
  std::int64_t ends = 0;  // seconds since 1970
  int tries = 0;          // that came to nothing
  bool used = false;

  State state(std::int64_t now) const;
  // For who has shown that he knows the secret: uses it up if it was good, and gives what it was.
  State use(std::int64_t now);
  // For who has not.
  void fail() { tries += tries < kTries; }
  // For who brings the hash: use() or fail(). True if the code was good and this is its hash; one
  // that was not good stays as it is.
  bool redeem(const Sha256& brought, std::int64_t now);
};

}  // namespace leat
