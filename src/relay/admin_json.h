// How the admin API writes down what more than one of its parts tells. For the .cc files of this
// folder.
#pragma once

#include <string>
#include <vector>

#include "store/connection_log.h"

namespace leat::relay {

// An object, on one line. Names come from agents and visitors and may hold anything.
std::string connections_json(const std::vector<store::Connection>& rows);  // a list of them

}  // namespace leat::relay
