#include "relay/rooms.h"

#include <algorithm>

#include "relay/bare_agent.h"

namespace leat::relay {

void Rooms::add(BareAgent* agent) { agents_[agent->room()].push_back(agent); }

void Rooms::remove(BareAgent* agent) {
  const auto found = agents_.find(agent->room());
  if (found == agents_.end()) return;
  std::erase(found->second, agent);
  if (found->second.empty()) agents_.erase(found);
}

BareAgent* Rooms::find(std::string_view room) const {
  const auto found = agents_.find(std::string(room));
  if (found == agents_.end()) return nullptr;
  const std::vector<BareAgent*>& agents = found->second;
  const auto owner = std::find_if(agents.rbegin(), agents.rend(),
                                  [](const BareAgent* agent) { return agent->owns_room(); });
  if (owner != agents.rend()) return *owner;
  const Result<bool> owned = store_.is_owned(found->first);
  return owned && !*owned ? agents.back() : nullptr;
}

}  // namespace leat::relay
