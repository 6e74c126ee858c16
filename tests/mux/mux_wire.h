// A path with a rate and a delay between two sessions, in virtual time.
#pragma once

#include <algorithm>
#include <deque>
#include <string>

#include "mux/mux_harness.h"

namespace leat::mux::test {

// One direction of a path: a sender that is asked for the next record when the last one is on the
// wire, so that nothing queues; what left arrives `delay` later.
struct Wire {
  double rate = 0;  // bytes per second
  Duration delay{};
  Duration nap{1};  // the receiver wakes at multiples of it
  Time free_at{};
  struct Packet {
    Time arrives;
    std::string bytes;
  };
  std::deque<Packet> flying;

  bool pull(Session& from, Time now) {
    if (free_at > now) return false;
    std::string record(16381, '\0');
    record.resize(from.pull({reinterpret_cast<std::uint8_t*>(record.data()), record.size()}, now));
    if (record.empty()) return false;
    free_at =
        now + Duration(static_cast<std::int64_t>(1e9 * static_cast<double>(record.size()) / rate));
    const Duration arrives = (free_at + delay).time_since_epoch();
    flying.push_back({Time{} + (arrives + nap - 1ns) / nap * nap, std::move(record)});
    return true;
  }
  Time next(const Session& from) const {
    Time at = from.wants_pull() ? free_at : kNever;
    return flying.empty() ? at : std::min(at, flying.front().arrives);
  }
};

}  // namespace leat::mux::test
