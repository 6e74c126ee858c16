#include "base/crypto_util.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

namespace leat {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// RFC 4648 for any alphabet of 2^bits characters; the last character is filled with zero bits.
std::string encode(Bytes data, std::string_view alphabet, unsigned bits) {
  const unsigned mask = (1u << bits) - 1;
  std::string out;
  out.reserve((data.size() * 8 + bits - 1) / bits);
  unsigned held = 0, count = 0;
  for (const std::uint8_t byte : data) {
    held = (held << 8 | byte) & 0xffff;
    for (count += 8; count >= bits; count -= bits) {
      out.push_back(alphabet[held >> (count - bits) & mask]);
    }
  }
  if (count > 0) out.push_back(alphabet[held << (bits - count) & mask]);
  return out;
}

// Refuses what encode() cannot have made: a character too many, or filling bits that are not zero
// (RFC 4648 §3.5).
std::optional<std::string> decode(std::string_view text, std::string_view alphabet, unsigned bits) {
  std::string out;
  out.reserve(text.size() * bits / 8);
  unsigned held = 0, count = 0;
  for (const char c : text) {
    const std::size_t value = alphabet.find(c);
    if (value == alphabet.npos) return std::nullopt;
    held = (held << bits | static_cast<unsigned>(value)) & 0xffff;
    count += bits;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(held >> count & 0xff));
    }
  }
  if (count >= bits || (held & ((1u << count) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace

void random_bytes(MutableBytes out) {
  while (!out.empty()) {
    const std::size_t part = std::min<std::size_t>(out.size(), INT_MAX);
    if (RAND_bytes(out.data(), static_cast<int>(part)) != 1) std::abort();
    out = out.subspan(part);
  }
}

std::uint64_t random_u64() {
  std::array<std::uint8_t, 8> bytes;
  random_bytes(bytes);
  return load_be64(bytes.data());
}

std::string random_id() {
  std::array<std::uint8_t, 10> bytes;
  random_bytes(bytes);
  return base32(bytes);
}

Sha256 sha256(Bytes data) {
  Sha256 out;
  if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    std::abort();  // only without memory
  }
  return out;
}

Sha1 sha1(Bytes data) {
  Sha1 out;
  if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, EVP_sha1(), nullptr) != 1) {
    std::abort();
  }
  return out;
}

bool constant_time_equal(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string hex(Bytes data) { return encode(data, kHex, 4); }

std::optional<std::string> unhex(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  }
  return decode(lower, kHex, 4);
}

std::string base32(Bytes data) { return encode(data, kBase32, 5); }

std::string base64url(Bytes data) { return encode(data, kBase64Url, 6); }

std::optional<std::string> unbase64url(std::string_view text) {
  return decode(text, kBase64Url, 6);
}

std::string base64(Bytes data) {
  std::string out = encode(data, kBase64, 6);
  out.resize((out.size() + 3) / 4 * 4, '=');
  return out;
}

}  // namespace leat
