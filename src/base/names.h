// Names that people type and both ends check: tunnel ids, host names and certificate pins.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace leat {

// 1 to 63 of a-z, 0-9 and '-', not '-' at the ends.
bool valid_tunnel_id(std::string_view id);

// A DNS name that an agent may bring: 2 labels at least of 1 to 63 of a-z, 0-9 and '-', not '-' at
// their ends, 253 characters together, the last label no number. No tunnel id is one.
bool valid_host_name(std::string_view name);

// The 32 raw bytes of "sha256:HEX" (colons inside HEX allowed) or of 43 base64url characters.
// LEAT_CONFIG.
Result<std::string> parse_pin(std::string_view text);

}  // namespace leat
