// What the relay counts, and its text for Prometheus (exposition format 0.0.4).
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <string>

#include "base/error.h"

namespace leat::relay {

struct Context;

struct Traffic {
  std::uint64_t streams = 0;  // opened so far
  std::uint64_t in = 0;       // bytes from visitors …
  std::uint64_t out = 0;      // … and to them
};

struct Metrics {
  Traffic http, tcp, sealed;
  std::uint64_t agents_joined = 0;
  std::map<Code, std::uint64_t> refused;  // answers of the relay's own to visitors, and agents
};

std::string metrics_text(Context& context);

}  // namespace leat::relay
