#include <variant>

#include "cli/commands.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "config/files.h"

namespace leat::cli {

int run_config(const ConfigArguments& arguments) {
  const auto config = config::read_any_file(arguments.file);
  if (!config) return report(config.error());
  const bool agent = std::holds_alternative<config::AgentConfig>(*config);
  print(arguments.file + ": valid, of " + (agent ? "an agent" : "a relay") + "\n");
  return kExitStopped;
}

}  // namespace leat::cli
