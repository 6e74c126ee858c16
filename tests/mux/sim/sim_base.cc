#include "mux/sim/sim_base.h"

namespace leat::mux::sim {

const char* name(Fault fault) {
  constexpr std::array names{"one_byte_capacity",
                             "one_byte_chunks",
                             "long_delay",
                             "link_pause",
                             "own_reset",
                             "reset_in_deliver",
                             "reset_in_produce",
                             "source_error",
                             "stalled_sink",
                             "detached",
                             "handed_over_in_deliver",
                             "handed_over_outside",
                             "stale_handle",
                             "sparse_wake",
                             "stream_refused",
                             "go_away",
                             "go_away_error",
                             "ids_used_up",
                             "window_grown",
                             "window_shrunk",
                             "share_moved",
                             "stop_growth",
                             "memory_scarce",
                             "memory_gone",
                             "pressure_reset_stalled",
                             "pressure_reset_paused",
                             "pressure_reset_full",
                             "feed_pause",
                             "feed_pause_ignored",
                             "open_timeout",
                             "ping_timeout",
                             "write_timeout",
                             "flood_of_opens",
                             "flood_of_resets",
                             "flood_of_pings",
                             "flood_of_waste",
                             "bad_last_word",
                             "cut"};
  static_assert(names.size() == static_cast<std::size_t>(Fault::count));
  return names[static_cast<std::size_t>(fault)];
}

bool Coverage::complete(std::string& missing) const {
  for (std::size_t i = 0; i < faults.size(); ++i) {
    if (faults[i] == 0) missing += std::string(" fault ") + name(static_cast<Fault>(i));
  }
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (states[i] == 0) missing += std::string(" state ") + name(static_cast<StreamState>(i));
  }
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (events[i] == 0) missing += std::string(" event ") + name(static_cast<StreamEvent>(i));
  }
  return missing.empty();
}

}  // namespace leat::mux::sim
