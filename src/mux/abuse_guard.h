// What a peer may ask of us that costs it little and us more: openings, resets, pings, frames that
// carry nothing (threats 2, 4 and 5; docs/protocol.md §1.7). One token bucket each. The verdict is
// final: a peer that goes beyond ends the session.
#pragma once

#include <cstdint>

#include "base/limits.h"
#include "base/time.h"

namespace leat::mux {

// A token bucket kept as one instant: the time at which it would be full again (the virtual
// scheduling form of the generic cell rate algorithm, ITU-T I.371 annex A).
class TokenBucket {
 public:
  explicit TokenBucket(limits::Rate rate);

  // Takes n tokens; false, and nothing is taken, if there are fewer.
  [[nodiscard]] bool take(std::uint32_t n, Time now);

 private:
  Duration period_;    // one token
  Duration capacity_;  // all of them
  Time full_at_{};
};

struct GuardLimits {
  limits::Rate opens = limits::kPeerOpens;
  limits::Rate resets = limits::kPeerResets;
  limits::Rate pings = limits::kPeerPings;
  limits::Rate waste = limits::kPeerWaste;
};

// Every call returns false when the peer has gone too far.
class AbuseGuard {
 public:
  explicit AbuseGuard(const GuardLimits& limits)
      : opens_(limits.opens), resets_(limits.resets), pings_(limits.pings), waste_(limits.waste) {}

  // The peer sent SYN.
  [[nodiscard]] bool open(Time now) { return opens_.take(1, now); }
  // The peer sent RST, or made us send one (CVE-2023-44487, CVE-2025-8671).
  [[nodiscard]] bool reset(Time now) { return resets_.take(1, now); }
  // The peer sent a ping, or answered one we did not send.
  [[nodiscard]] bool ping(Time now) { return pings_.take(1, now); }
  // A frame without SYN or RST that carried `useful` bytes of data or credit, and no news: the FIN
  // and the first ACK of a stream that is there are free.
  [[nodiscard]] bool frame(std::uint32_t useful, Time now) {
    return useful >= limits::kFrameOverhead || waste_.take(limits::kFrameOverhead - useful, now);
  }

 private:
  TokenBucket opens_, resets_, pings_, waste_;
};

}  // namespace leat::mux
