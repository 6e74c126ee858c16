#include "relay/tunnel_quota.h"

#include <utility>

namespace leat::relay {

bool may_have_another(Context& context, const Account& account, std::string_view tunnel,
                      std::set<std::string_view> others) {
  const std::shared_ptr<const Plan> plan = account.plan();
  if (plan == nullptr || !plan->tunnels) return true;
  others.insert(tunnel);
  return context.common.directory.count_of(account, std::move(others)) <= *plan->tunnels;
}

}  // namespace leat::relay
