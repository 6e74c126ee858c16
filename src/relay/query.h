// Parameters that the relay's own doors take from a query: NAME=VALUE between ampersands, compared
// as they stand. Nothing is decoded: an id and a token have no character that needs it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace leat::relay {

// Takes every NAME=VALUE out of the query of `target`, and the question mark with the last. The
// value, if there was one and only one: two are read differently by different programs.
std::optional<std::string> take_parameter(std::string& target, std::string_view name);

}  // namespace leat::relay
