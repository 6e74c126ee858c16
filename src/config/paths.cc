#include "config/paths.h"

#include <unistd.h>

#include <cstdlib>

namespace leat::config {

std::string default_state_dir(std::string_view leaf) {
  const char* const state = std::getenv("XDG_STATE_HOME");
  const char* const home = std::getenv("HOME");
  std::string path = "/var/lib/leat";
  if (state != nullptr && *state == '/') {
    path = std::string(state) + "/leat";
  } else if (::geteuid() != 0 && home != nullptr && *home == '/') {
    path = std::string(home) + "/.local/state/leat";
  }
  return leaf.empty() ? path : path.append("/").append(leaf);
}

}  // namespace leat::config
