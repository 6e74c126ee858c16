// Where state lives when nobody says where.
#pragma once

#include <string>
#include <string_view>

namespace leat::cli {

// /var/lib/leat for root, else $XDG_STATE_HOME/leat or ~/.local/state/leat; with `leaf` a folder in
// it.
std::string default_state_dir(std::string_view leaf = {});

}  // namespace leat::cli
