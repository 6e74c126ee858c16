// What all parts of the simulation share: randomness from a seed, failures, and the counters that
// show what a run has reached.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "base/bytes.h"
#include "mux/stream_state.h"

namespace leat::mux::sim {

// SplitMix64: one seed, the same run on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // [0, below), below > 0.
  std::size_t below(std::size_t below) { return next() % below; }
  // [low, high]
  std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
  // Between low and high with every order of magnitude as likely as the next.
  std::size_t spread(std::size_t low, std::size_t high) {
    std::size_t top = low;
    while (top < high && below(4) != 0) top = top * 3 + 1;
    return between(low, top < high ? top : high);
  }
  bool chance(unsigned percent) { return below(100) < percent; }

 private:
  std::uint64_t state_;
};

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(bool ok, const char* what) {
  if (!ok) throw Failure(what);
}

// What can happen to a run beyond plain traffic.
enum class Fault : std::uint8_t {
  one_byte_capacity,
  one_byte_chunks,
  long_delay,
  link_pause,
  own_reset,
  reset_in_deliver,
  reset_in_produce,
  source_error,
  stalled_sink,
  detached,
  handed_over_in_deliver,
  handed_over_outside,
  stale_handle,
  sparse_wake,  // a stream came back that has to be served before bulk
  stream_refused,
  go_away,
  go_away_error,  // the session of the peer had ended, for one reason or another
  ids_used_up,
  window_grown,
  window_shrunk,
  share_moved,    // one window grew, another shrank for it
  stop_growth,    // 50 % of the receive budget
  memory_scarce,  // half of what both sessions draw on is used
  memory_gone,    // all of it
  pressure_reset_stalled,
  pressure_reset_paused,  // nobody stalled, but all waited for 5 s
  pressure_reset_full,
  feed_pause,
  feed_pause_ignored,
  open_timeout,
  ping_timeout,
  write_timeout,
  flood_of_opens,
  flood_of_resets,
  flood_of_pings,
  flood_of_waste,
  bad_last_word,  // a frame that no peer may send, and its answer
  cut,
  count,
};
const char* name(Fault fault);

struct Coverage {
  std::array<std::uint64_t, static_cast<std::size_t>(Fault::count)> faults{};
  std::array<std::uint64_t, kStreamStates> states{};
  std::array<std::uint64_t, kStreamEvents> events{};
  std::uint64_t steps = 0, streams = 0, bytes = 0, frames = 0, whole = 0;

  void hit(Fault fault) { ++faults[static_cast<std::size_t>(fault)]; }
  // Everything but `closed`, which nothing on the wire reaches.
  bool complete(std::string& missing) const;
};

// The byte at `offset` of what the client (or server) sends on stream `id`.
inline std::uint8_t content(std::uint32_t id, bool from_client, std::uint64_t offset) {
  const std::uint64_t x =
      (std::uint64_t{id} * 2 + (from_client ? 1 : 0)) * 0x9e3779b97f4a7c15 + offset;
  return static_cast<std::uint8_t>(x ^ (x >> 8) ^ (x >> 16));
}

}  // namespace leat::mux::sim
