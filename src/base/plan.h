// What an owner may use. A limit that is not set does not exist.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace leat {

struct Plan {
  using Limit = std::optional<std::uint64_t>;

  std::string name;
  Limit tunnels;              // bound at once
  Limit streams;              // visitors' connections and exchanges at once
  Limit requests_per_minute;  // HTTP requests and new connections
  Limit bytes_per_second;     // both ways together, like the next two; held back, not refused
  Limit bytes_per_day;        // of UTC
  Limit bytes_per_month;
  Limit body;  // bytes of a request's
  // Of WebSockets, all of the owner's together: messages a minute from visitors and from agents,
  // and the bytes of one, as transferred.
  Limit visitor_messages_per_minute, agent_messages_per_minute;
  Limit message;
};

struct Plans {
  std::vector<Plan> all;
  // Of owners that have none, or one that is not there; empty, which no file may leave it: no
  // limits.
  std::string fallback;
  // Of the token and the join code that the relay makes by itself, which are its operator's; empty:
  // as others.
  std::string operators;

  const Plan* find(const std::string& name) const {
    const Plan* found = nullptr;
    for (const Plan& plan : all) {
      if (plan.name == name) return &plan;
      if (plan.name == fallback) found = &plan;
    }
    return found;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all_names;
    for (const Plan& plan : all) all_names.push_back(plan.name);
    return all_names;
  }
};

// LEAT_USAGE for a plan that is none of these: who is given it would quietly come to the default.
// Empty stands for the default itself.
Result<void> check_plan(const std::string& plan, const std::vector<std::string>& known);

}  // namespace leat
