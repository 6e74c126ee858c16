// JSON as strangers send it, read so that two readers cannot understand it differently: an object
// whose member is named twice is refused (RFC 8259 §4 leaves open which of them counts), and so is
// what is nested deeper than anything we ask for.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

namespace leat::auth {

inline constexpr int kJsonDepth = 16;

// An object, and nothing behind it but white space; valid UTF-8.
std::optional<nlohmann::json> parse_object(std::string_view text);

}  // namespace leat::auth
