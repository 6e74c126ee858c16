// What `leat version` prints; the number comes from the build.
#pragma once

#include <string>

namespace leat::cli {

std::string version_line();  // "leat 0.1.0"

}  // namespace leat::cli
