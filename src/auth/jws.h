// JSON web signatures in the compact form (RFC 7515 §7.1), verified. Nothing of the token decides
// how it is verified: its header names an algorithm, which must be that of a key we have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "auth/keys.h"

namespace leat::auth {

inline constexpr std::size_t kToken = 16 * 1024;  // bytes of a token; longer ones are refused

enum class Fault : std::uint8_t {
  malformed,    // not three parts of canonical base64url, or not the JSON it should be
  unsupported,  // an algorithm we do not have, "none" among them, or a critical extension
  unknown_key,  // no key of that algorithm and "kid"
  signature,    // does not verify
  expired,      // and the rest: of claims
  not_yet,
  audience,
  issuer,
  claims,  // one is missing, or is of the wrong type
};
// One clause for logs and for the agent that holds the token; strangers are not told.
std::string_view describe(Fault fault);

template <typename T>
using Verified = tl::expected<T, Fault>;

struct Signed {
  std::string payload;
  Sha256 key;  // the fingerprint of the one that verified it
};

// What is in a token that one of the keys verifies.
Verified<Signed> verify_jws(std::string_view token, const KeySet& keys);

}  // namespace leat::auth
