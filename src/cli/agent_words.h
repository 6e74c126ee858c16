// What is said of tunnels in more than one place.
#pragma once

#include <string_view>

#include "control/client.h"

namespace leat::cli {

// Ends "the relay sees …".
std::string_view relay_sees(control::TunnelKind kind);

}  // namespace leat::cli
