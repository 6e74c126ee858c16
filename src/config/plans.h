// The file of plans: what owners may use, by the name of their plan.
#pragma once

#include <string>

#include "base/error.h"
#include "base/plan.h"

namespace leat::config {

// LEAT_CONFIG_FILE, LEAT_CONFIG.
Result<Plans> read_plans(const std::string& path);

}  // namespace leat::config
