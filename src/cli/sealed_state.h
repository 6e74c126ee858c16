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

// "a, b" apart; empty: none.
std::vector<std::string> split_list(const std::string& text);

}  // namespace leat::cli
