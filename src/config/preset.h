// Presets: what is known of a kind of server, so that nobody has to find it out. A preset fills in
// what was not said; whatever was said stays.
#pragma once

#include <string>
#include <vector>

#include "config/agent_config.h"

namespace leat::config {

std::string_view name(Preset preset);

// The service with its preset and the defaults of the agent filled in.
ServiceConfig resolve(ServiceConfig service);

// What `leat config check` shows of a service: every setting that has an effect, what it is, and
// where it comes from.
struct Effect {
  std::string key, value;
  const char* from;  // "as written", "preset", "default"
};
std::vector<Effect> effects(const ServiceConfig& service);

}  // namespace leat::config
