// Parts of the address space as people write them: "10.0.0.0/8", "2001:db8::/32", "127.0.0.1".
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace leat {

class Cidr {
 public:
  // A bare address is itself alone. LEAT_CONFIG also for host bits behind the prefix.
  static Result<Cidr> parse(std::string_view text);
  // `address`: in digits, without brackets and port; false for anything else. An IPv4 address in
  // IPv6 clothes (::ffff:192.0.2.1) is the IPv4 address, on both sides.
  bool contains(std::string_view address) const;
  friend bool operator==(const Cidr&, const Cidr&) = default;

 private:
  std::array<std::uint8_t, 16> network_{};  // IPv4 as ::ffff:a.b.c.d
  unsigned bits_ = 128;                     // of the 128
};

bool contains(const std::vector<Cidr>& list, std::string_view address);

}  // namespace leat
