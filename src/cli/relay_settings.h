// What the relay is told, from all that was said: flag > environment > file > default. Errors are
// LEAT_USAGE and name flag or variable, or LEAT_CONFIG and name file, line and key.
#pragma once

#include "base/error.h"
#include "cli/arguments.h"
#include "relay/options.h"

namespace leat::cli {

// Sets up the log on the way.
Result<relay::Options> relay_options(const RelayArguments& arguments);

}  // namespace leat::cli
