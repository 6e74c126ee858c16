#include "cli/joined.h"

#include "agent/credential_file.h"
#include "base/names.h"
#include "config/paths.h"
#include "config/values.h"

namespace leat::cli {

std::string joined_dir() { return config::default_state_dir("agent"); }

Result<std::string> use_joined(config::AgentConfig& config) {
  if (config.token || config.token_file) return std::string();
  for (const std::string& directory : {config.state_dir.value_or(""), joined_dir()}) {
    if (directory.empty()) continue;
    const auto joined = agent::load_joined(directory);
    if (!joined) return tl::unexpected(joined.error());
    if (!*joined) continue;
    const auto relay = config::parse_relay((*joined)->relay);
    if (!relay) return tl::unexpected(relay.error());
    if (config.relay && config.relay->address != relay->address) continue;
    if (!config.relay) config.relay = *relay;
    if (!config.pin && !config.ca && !(*joined)->pin.empty()) {
      auto pin = parse_pin((*joined)->pin);
      if (!pin) return tl::unexpected(pin.error());
      config.pin = std::move(*pin);
    }
    config.token = (*joined)->credential;
    return directory;
  }
  return std::string();
}

}  // namespace leat::cli
