#include "cli/paths.h"

#include <unistd.h>

#include <cstdlib>

namespace leat::cli {

std::string default_state_dir(std::string_view leaf) {
  std::string path = "/var/lib/leat";
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  if (::geteuid() == 0) {
    // The system's own place.
  } else if (state != nullptr && *state == '/') {
    path = std::string(state) + "/leat";
  } else if (home != nullptr && *home == '/') {
    path = std::string(home) + "/.local/state/leat";
  }
  return leaf.empty() ? path : path.append("/").append(leaf);
}

}  // namespace leat::cli
