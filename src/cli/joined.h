// What `leat join` left on this machine, as settings of an agent that was told none.
#pragma once

#include <string>

#include "base/error.h"
#include "config/agent_config.h"

namespace leat::cli {

// Where `leat join` keeps its credential unless told otherwise, for all agents of this user.
std::string joined_dir();

// Sets relay, trust and token of `config` if it has no token and a relay was joined that is the
// one it names, if it names one. Returns the directory with the key that joined; empty: nothing was
// set.
Result<std::string> use_joined(config::AgentConfig& config);

}  // namespace leat::cli
