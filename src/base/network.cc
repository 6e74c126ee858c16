#include "base/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>

namespace leat {
namespace {

using Address = std::array<std::uint8_t, 16>;
constexpr unsigned kMapped = 96;  // bits in front of an IPv4 address (RFC 4291 §2.5.5.2)

struct Parsed {
  Address bits{};
  bool ipv4 = false;
};

std::optional<Parsed> parse_address(std::string_view text) {
  const std::string name(text.substr(0, text.find('%')));  // a zone is no part of the address
  Parsed out;
  if (::inet_pton(AF_INET6, name.c_str(), out.bits.data()) == 1) return out;
  out.bits[10] = out.bits[11] = 0xff;
  out.ipv4 = true;
  if (::inet_pton(AF_INET, name.c_str(), out.bits.data() + kMapped / 8) == 1) return out;
  return std::nullopt;
}

bool same_prefix(const Address& a, const Address& b, unsigned prefix) {
  const std::size_t whole = prefix / 8;
  if (std::memcmp(a.data(), b.data(), whole) != 0) return false;
  const unsigned rest = prefix % 8;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

}  // namespace

std::optional<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address || text.find('%') != text.npos) return std::nullopt;
  const unsigned width = address->ipv4 ? 32 : 128;
  unsigned prefix = width;
  if (slash != text.npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    if (error != std::errc() || end != digits.data() + digits.size() || prefix > width) {
      return std::nullopt;
    }
  }
  Network out;
  out.prefix_ = prefix + (address->ipv4 ? kMapped : 0);
  out.bits_ = address->bits;
  Address masked = address->bits;
  for (unsigned bit = out.prefix_; bit < 128; ++bit) {
    masked[bit / 8] = static_cast<std::uint8_t>(masked[bit / 8] & ~(0x80u >> bit % 8));
  }
  if (masked != address->bits) return std::nullopt;
  return out;
}

std::string customer_of(std::string_view address) {
  const auto parsed = parse_address(address);
  if (!parsed) return std::string(address);
  const auto* const bits = reinterpret_cast<const char*>(parsed->bits.data());
  const bool mapped = std::all_of(bits, bits + 10, [](char c) { return c == 0; });
  return mapped ? std::string(bits, 16) : std::string(bits, 8);
}

bool Network::contains(std::string_view address) const {
  const auto parsed = parse_address(address);
  return parsed && same_prefix(parsed->bits, bits_, prefix_);
}

}  // namespace leat
