// What HUP does: files are read again, and what can change without a new start changes. A file that
// is not valid changes nothing, and the log says why.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "cli/arguments.h"
#include "relay/relay.h"

namespace leat::cli {

// `running` outlives it; `started` are the options it was made with. Gives what has become of it in
// a line, for who sees no log.
std::function<std::string()> agent_reload(const AgentArguments& arguments, agent::Agent& running,
                                          const agent::Options& started);
std::function<void()> relay_reload(const RelayArguments& arguments, relay::Relay& running);

// The settings of an agent that are others than at its start, apart from its services.
std::vector<std::string> needs_restart(const agent::Options& started, const agent::Options& now);

}  // namespace leat::cli
