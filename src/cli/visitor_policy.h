// The rules for a service's visitors, read from the files its configuration names.
#pragma once

#include "base/error.h"
#include "config/agent_config.h"
#include "control/policy.h"

namespace leat::cli {

// LEAT_CONFIG names file and line; what a line holds is not repeated.
Result<control::VisitorPolicy> visitor_policy(const config::ServiceConfig& service);

}  // namespace leat::cli
