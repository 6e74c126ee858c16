#include "relay/tunnel_quota.h"

#include <cstdint>

namespace leat::relay {

std::optional<Directory::Held> hold_tunnel(Context& context, const Account& account,
                                           const std::string& tunnel) {
  const std::shared_ptr<const Plan> plan = account.plan();
  const std::size_t most = plan != nullptr ? plan->tunnels.value_or(SIZE_MAX) : SIZE_MAX;
  return context.common.directory.hold(account, tunnel, most);
}

}  // namespace leat::relay
