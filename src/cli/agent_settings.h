// What the agent is told, from all that was said; see relay_settings.h.
#pragma once

#include "agent/agent.h"
#include "base/error.h"
#include "cli/arguments.h"

namespace leat::cli {

// Reads the token: NO_TOKEN if there is none. Sets up the log on the way.
std::string machine_name();  // for the relay's lists

Result<agent::Options> agent_options(const AgentArguments& arguments);

}  // namespace leat::cli
