#include "cli/version.h"

namespace leat::cli {

std::string version_line() { return "leat " LEAT_VERSION; }

}  // namespace leat::cli
