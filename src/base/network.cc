#include "base/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace leat {

std::string customer_of(std::string_view address) {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const std::string name(address.substr(0, address.find('%')));  // a zone is no part of it
  std::array<std::uint8_t, 16> bits{};
  if (::inet_pton(AF_INET6, name.c_str(), bits.data()) != 1) {
    std::ranges::copy(kMapped, bits.begin());
    if (::inet_pton(AF_INET, name.c_str(), bits.data() + kMapped.size()) != 1) {
      return std::string(address);
    }
  }
  const bool mapped = std::equal(kMapped.begin(), kMapped.end(), bits.begin());
  return {reinterpret_cast<const char*>(bits.data()), mapped ? bits.size() : bits.size() / 2};
}

}  // namespace leat
