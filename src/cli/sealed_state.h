// The state directory of the agent that a command beside it is about.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace leat::cli {

// `named`, or that of the only agent of this user with a sealed service. NO_AGENT says which there
// are.
Result<std::string> sealed_state_dir(const std::optional<std::string>& named);

// Tells a person which of `services` the agent of this directory does not have.
void warn_of_unknown(const std::string& state_dir, const std::vector<std::string>& services);

// "a, b" apart; empty: none.
std::vector<std::string> split_list(const std::string& text);
// The same of what a device is held to, where "all" is no limit. A list of nothing is one of a name
// that nothing has, for it must not be taken for no limit.
std::vector<std::string> split_limit(const std::string& text);

}  // namespace leat::cli
