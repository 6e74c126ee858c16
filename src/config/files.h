// Configuration files: YAML, keys as the flags are called ('_' and '-' are the same), an agent's
// services as a list. Errors are LEAT_CONFIG_FILE for a file that cannot be read, and LEAT_CONFIG
// with "FILE:LINE: key: expected …, found …" for one that is not right.
#pragma once

#include <string>
#include <variant>

#include "base/error.h"
#include "config/agent_config.h"
#include "config/relay_config.h"

namespace leat::config {

Result<RelayConfig> read_relay_file(const std::string& path);
// A file that holds a token must not be readable by others.
Result<AgentConfig> read_agent_file(const std::string& path);
// An agent's if any of its keys is an agent's alone, otherwise a relay's.
Result<std::variant<RelayConfig, AgentConfig>> read_any_file(const std::string& path);

}  // namespace leat::config
