#include <algorithm>
#include <string>
#include <variant>

#include "cli/commands.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "cli/visitor_policy.h"
#include "config/files.h"
#include "config/preset.h"

namespace leat::cli {
namespace {

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}

// What each service comes to once its preset and the defaults are filled in.
std::string described(const config::AgentConfig& config) {
  std::string out;
  for (std::size_t i = 0; i < config.services.size(); ++i) {
    const config::ServiceConfig& service = config.services[i];
    out.append("\nservices[" + std::to_string(i) + "]: ");
    out.append(config::name(service.effective_kind())).append(" at ");
    out.append(service.target->address.text()).append("\n");
    for (const config::Effect& effect : config::effects(service)) {
      out.append("  ").append(padded(effect.key, 20)).append(padded(effect.value, 26));
      out.append(effect.from).append("\n");
    }
  }
  return out;
}

}  // namespace

int run_config(const ConfigArguments& arguments) {
  const auto config = config::read_any_file(arguments.file);
  if (!config) return report(config.error());
  const auto* agent = std::get_if<config::AgentConfig>(&*config);
  // The files it names are read as a start would read them.
  if (agent != nullptr) {
    for (const config::ServiceConfig& service : agent->services) {
      if (const auto policy = visitor_policy(service); !policy) return report(policy.error());
    }
  }
  print(arguments.file + ": valid, of " + (agent != nullptr ? "an agent" : "a relay") + "\n" +
        (agent != nullptr ? described(*agent) : std::string()));
  return kExitStopped;
}

}  // namespace leat::cli
