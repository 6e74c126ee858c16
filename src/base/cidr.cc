#include "base/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>

namespace leat {
namespace {

using Address = std::array<std::uint8_t, 16>;

constexpr unsigned kMapped = 96;  // RFC 4291 §2.5.5.2: ten zero bytes, two of ff, then IPv4

bool is_ipv4(std::string_view text) { return text.find(':') == text.npos; }

std::optional<Address> parse_address(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  const std::string digits(text);
  Address out{};
  if (!is_ipv4(text)) {
    if (::inet_pton(AF_INET6, digits.c_str(), out.data()) != 1) return std::nullopt;
    return out;
  }
  out[10] = out[11] = 0xff;
  if (::inet_pton(AF_INET, digits.c_str(), out.data() + 12) != 1) return std::nullopt;
  return out;
}

// The first `bits` of an address.
Address masked(Address address, unsigned bits) {
  for (unsigned i = 0; i < address.size(); ++i) {
    const unsigned kept = std::clamp(bits, 8 * i, 8 * i + 8) - 8 * i;
    address[i] = static_cast<std::uint8_t>(address[i] & ~(0xffu >> kept));
  }
  return address;
}

}  // namespace

Result<Cidr> Cidr::parse(std::string_view text) {
  const auto refuse = [text](const char* expected) {
    return fail(Code::CONFIG,
                std::string("expected ") + expected + ", found \"" + std::string(text) + "\"");
  };
  const std::size_t slash = text.find('/');
  const std::string_view digits = text.substr(0, slash);
  const auto address = parse_address(digits);
  if (!address) return refuse("an address or network such as 10.0.0.0/8");
  Cidr cidr;
  if (slash != text.npos) {
    const std::string_view number = text.substr(slash + 1);
    const unsigned most = is_ipv4(digits) ? 32 : 128;
    unsigned bits = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bits);
    if (error != std::errc() || end != number.data() + number.size() || bits > most) {
      return refuse("a prefix length behind the slash");
    }
    cidr.bits_ = bits + (most == 32 ? kMapped : 0);
  }
  cidr.network_ = masked(*address, cidr.bits_);
  if (cidr.network_ != *address) return refuse("a network without host bits");
  return cidr;
}

bool Cidr::contains(std::string_view address) const {
  const auto parsed = parse_address(address);
  return parsed && masked(*parsed, bits_) == network_;
}

bool contains(const std::vector<Cidr>& list, std::string_view address) {
  return std::ranges::any_of(list, [&](const Cidr& cidr) { return cidr.contains(address); });
}

}  // namespace leat
