// Addresses as something to count by.
#pragma once

#include <string>
#include <string_view>

namespace leat {

// What one customer has: an IPv4 address, or the first 64 bits of an IPv6 one, as a key. Text that
// is no address stands for itself.
std::string customer_of(std::string_view address);

}  // namespace leat
