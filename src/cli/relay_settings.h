// From what was said on the command line, in the environment and in a file to what the relay is
// told: flag > environment > file > default. Errors are LEAT_USAGE and name the flag, or
// LEAT_CONFIG and name file, line and key.
#pragma once

#include <string_view>

#include "base/error.h"
#include "cli/arguments.h"
#include "relay/options.h"

namespace leat::cli {

Result<relay::Options> relay_options(const RelayArguments& arguments);

// "20000-20100" or one port.
Result<relay::PortRange> parse_ports(std::string_view text);

}  // namespace leat::cli
