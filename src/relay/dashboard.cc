#include "relay/dashboard.h"

#include <algorithm>
#include <iterator>

#include "relay/dashboard_assets.h"

namespace leat::relay {

const DashboardAsset* dashboard_asset(std::string_view path) {
  const auto found = std::ranges::find(kDashboardAssets, path, &DashboardAsset::path);
  return found == std::end(kDashboardAssets) ? nullptr : &*found;
}

}  // namespace leat::relay
