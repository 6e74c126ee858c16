// The small cryptographic helpers that everything may use: randomness, SHA-256, constant-time
// comparison, text encodings of binary values. Over OpenSSL's EVP.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace leat {

// Aborts if the system has no randomness: nothing sensible can follow.
void random_bytes(MutableBytes out);
std::uint64_t random_u64();
// 80 bits as 16 characters of lower-case base32 (RFC 4648 §6): a generated tunnel id, which is
// itself the capability to reach the tunnel.
std::string random_id();

using Sha256 = std::array<std::uint8_t, 32>;
Sha256 sha256(Bytes data);

// For the WebSocket handshake (RFC 6455 §4.2.2), where it guards nothing.
using Sha1 = std::array<std::uint8_t, 20>;
Sha1 sha1(Bytes data);

// Time depends on the lengths only.
bool constant_time_equal(Bytes a, Bytes b);

std::string hex(Bytes data);                                    // lower case
std::optional<std::string> unhex(std::string_view text);        // either case
std::string base32(Bytes data);                                 // lower case, unpadded
std::string base64url(Bytes data);                              // RFC 4648 §5, unpadded
std::optional<std::string> unbase64url(std::string_view text);  // unpadded, canonical only
std::string base64(Bytes data);                                 // RFC 4648 §4, padded

}  // namespace leat
