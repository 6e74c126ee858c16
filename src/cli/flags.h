// What every command that has settings can be told: each flag is also an environment variable
// (LEAT_TCP_PORTS) and a key of a configuration file (tcp_ports), and src/config alone reads the
// values.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/arguments.h"

namespace leat::cli {

struct Flag {
  const char* name;        // "--tcp-ports"
  const char* value_name;  // nullptr: a switch
  const char* help;
};

inline constexpr char kRelayStateDir[] =
    "the relay's [/var/lib/leat for root, else ~/.local/state/leat]";

std::span<const Flag> relay_flags();
// Of every agent, whatever it serves.
std::span<const Flag> agent_flags();
// Of one service; of Kind::file none.
std::span<const Flag> service_flags(AgentArguments::Kind kind);

// "--tcp-ports" as LEAT_TCP_PORTS, and as tcp_ports.
std::string variable_of(std::string_view flag);
std::string key_of(std::string_view flag);

}  // namespace leat::cli
