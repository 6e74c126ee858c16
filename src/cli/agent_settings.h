// The same for the agent as relay_settings.h does for the relay.
#pragma once

#include <string_view>

#include "agent/agent.h"
#include "base/error.h"
#include "cli/arguments.h"

namespace leat::cli {

// Reads the token: NO_TOKEN if there is none.
Result<agent::Options> agent_options(const AgentArguments& arguments);

// PORT, HOST:PORT, and for http services http://HOST[:PORT] and https://HOST[:PORT].
Result<agent::Service> parse_target(std::string_view text, control::TunnelKind kind);
// HOST or HOST:PORT of a relay; 443 if there is none.
Result<HostPort> parse_relay(std::string_view text);

}  // namespace leat::cli
