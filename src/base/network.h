// A network as people write it, "192.0.2.0/24", "2001:db8::/32" or a single address, and whether an
// address lies in it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leat {

class Network {
 public:
  // nullopt: no address, a prefix that is too long, or bits behind it that are set (whoever writes
  // 10.0.0.1/8 means one or the other).
  static std::optional<Network> parse(std::string_view text);

  // An IPv4 address in IPv6 clothes is an IPv4 address; a name, or anything else, lies nowhere.
  bool contains(std::string_view address) const;

 private:
  std::array<std::uint8_t, 16> bits_{};  // IPv4 as ::ffff:a.b.c.d
  unsigned prefix_ = 0;
};

// What one customer has, as a key to count by: an IPv4 address, or the first 64 bits of an IPv6
// one. Text that is no address stands for itself.
std::string customer_of(std::string_view address);

}  // namespace leat
