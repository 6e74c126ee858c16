#include "relay/tunnel_quota.h"

#include <utility>

#include "relay/agent_session.h"
#include "relay/bare_agent.h"

namespace leat::relay {

bool may_have_another(Context& context, const Account& account, std::string_view tunnel,
                      std::set<std::string_view> others) {
  const Plan* const plan = account.plan();
  if (plan == nullptr || !plan->tunnels) return true;
  std::set<std::string_view> bound = std::move(others);
  bound.insert(tunnel);
  for (const AgentSession* session : context.registry.sessions()) {
    session->list_tunnels(account, bound);
  }
  context.bare_agents.for_each([&](BareAgent& agent) {
    if (agent.account().get() == &account) bound.insert(agent.room());
  });
  return bound.size() <= *plan->tunnels;
}

}  // namespace leat::relay
