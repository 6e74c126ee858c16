// Where things live when nobody says where.
#pragma once

#include <string>
#include <string_view>

namespace leat::config {

// $XDG_STATE_HOME/leat where that is set, else /var/lib/leat for root and ~/.local/state/leat for
// others (XDG Base Directory Specification: a relative XDG_STATE_HOME is ignored); with `leaf` a
// folder in it.
std::string default_state_dir(std::string_view leaf = {});

}  // namespace leat::config
