// What the agent counts, and its text for Prometheus. Kinds and reasons are sets of ours: no
// service, tunnel or visitor is a label.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "agent/agent.h"
#include "base/metrics.h"
#include "control/client.h"
#include "mux/session.h"
#include "net/meter.h"
#include "net/session_driver.h"

namespace leat::agent {

// Why a stream ended before its time.
enum class Cut : std::uint8_t { relay, session, pressure, service };
inline constexpr std::size_t kCuts = 4;
Cut cut_of(mux::ResetReason reason);

struct Metrics {
  struct Traffic {
    std::uint64_t streams = 0, in = 0, out = 0;  // in: from visitors
  };
  std::array<Traffic, 5> traffic;  // by control::TunnelKind
  std::array<std::uint64_t, kCuts> cuts{};
  std::map<Code, std::uint64_t> notices;  // of the relay's
  Histogram first_byte;                   // from a request's head to the head of its answer

  Traffic& of(control::TunnelKind kind) { return traffic.at(static_cast<std::size_t>(kind)); }
  void cut(Cut why) { ++cuts.at(static_cast<std::size_t>(why)); }
};

// Counts what a pipe moves, and holds nothing back. Outlives the pipe.
class CountingMeter final : public net::Meter {
 public:
  explicit CountingMeter(Metrics::Traffic& traffic) : traffic_(traffic) {}
  std::size_t allow(std::size_t wanted) override { return wanted; }
  // For the splice of an agent what comes from the socket is what goes to the visitor.
  void moved(Direction direction, std::size_t n) override {
    (direction == Direction::in ? traffic_.out : traffic_.in) += n;
  }

 private:
  Metrics::Traffic& traffic_;
};

// `session` null: there is none now.
std::string metrics_text(const Status& status, const Metrics& metrics, net::SessionDriver* session);

}  // namespace leat::agent
