// Flow control of one direction of one stream (docs/protocol.md §1.5). Both classes know only
// numbers: the session asks them what may be sent and what should be granted, and moves the frames.
#pragma once

#include <cstdint>

#include "base/limits.h"
#include "base/time.h"

namespace leat::mux {

// What the peer lets us send.
class SendWindow {
 public:
  std::uint32_t available() const { return available_; }

  // False, and nothing changes, if the sum exceeds 2^32-1.
  [[nodiscard]] bool grant(std::uint32_t credit);

  // n <= available().
  void spend(std::uint32_t n);

 private:
  std::uint32_t available_ = limits::kInitialWindow;
};

// What we let the peer send. The window is a target for `promised + held`: credit out with the peer
// plus bytes received and not yet written onward. It is held by granting; it shrinks by not
// granting, since credit once given cannot be taken back.
//
// Whether the target fits is judged from how it is used, at most once for every window's worth of
// bytes. Credit is returned in halves and takes one round trip to come back as bytes, so a peer
// that uses a window up in two round trips is held back by it; with some room for what delays a
// grant beside the path, in three. One that needs more than twelve has more than it can use.
class ReceiveWindow {
 public:
  // The first 256 KiB are implicit: with a larger target the rest is due at once.
  ReceiveWindow(std::uint32_t target, Time now) : target_(target), judged_(now) {}

  // A frame of `n` bytes was announced. False: the peer exceeds its credit; nothing changes.
  [[nodiscard]] bool receive(std::uint32_t n);

  // n bytes were written onward, n <= held().
  void consume(std::uint32_t n);

  // Whether a grant is worth a frame: half the target or more, less what may be the first frame of
  // the other half, for which a peer that has used up its credit would wait in vain.
  bool due() const { return grantable() >= target_ / 2 - limits::kMaxFrameBare; }

  enum class Fit : std::uint8_t { good, tight, loose };
  // To be asked before a grant leaves. `rtt`: how long a grant takes to come back as bytes.
  Fit judge(Time now, Duration rtt);

  // The credit to send now; counts as promised from here on. 0: nothing to send.
  [[nodiscard]] std::uint32_t take_grant();

  // Moves the target, between limits::kInitialWindow and limits::kMaxWindow. Takes effect with the
  // next grants.
  void set_target(std::uint32_t target) { target_ = target; }

  std::uint32_t target() const { return target_; }
  std::uint32_t promised() const { return promised_; }
  std::uint32_t held() const { return held_; }
  Time judged() const { return judged_; }  // last; that long its use is not known

 private:
  std::uint32_t grantable() const;

  std::uint32_t target_;
  std::uint32_t promised_ = limits::kInitialWindow;
  std::uint32_t held_ = 0;
  std::uint32_t used_ = 0;  // written onward since judged_
  bool ran_out_ = false;    // since then the peer had no credit left, though little was held
  Time judged_;
};

}  // namespace leat::mux
