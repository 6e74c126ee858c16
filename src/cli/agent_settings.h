// What the agent is told, from all that was said; see relay_settings.h.
#pragma once

#include "agent/agent.h"
#include "base/error.h"
#include "cli/arguments.h"

namespace leat::cli {

enum class Services : std::uint8_t { needed, optional };

// Reads the token: NO_TOKEN if there is none. Sets up the log on the way.
Result<agent::Options> agent_options(const AgentArguments& arguments,
                                     Services services = Services::needed);

}  // namespace leat::cli
