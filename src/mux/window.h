// Flow control of one direction of one stream (docs/protocol.md §1.5). Both classes know only
// numbers: the session asks them what may be sent and what should be granted, and moves the frames.
#pragma once

#include <cstdint>

#include "base/limits.h"

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
class ReceiveWindow {
 public:
  // The first 256 KiB are implicit: with a larger target the rest is due at once.
  explicit ReceiveWindow(std::uint32_t target) : target_(target) {}

  // A frame of `n` bytes was announced. False: the peer exceeds its credit; nothing changes.
  [[nodiscard]] bool receive(std::uint32_t n);

  // n bytes were written onward, n <= held().
  void consume(std::uint32_t n);

  // Whether a grant is worth a frame: half the target or more.
  bool due() const { return grantable() >= target_ / 2 && grantable() > 0; }

  // The credit to send now; counts as promised from here on. 0: nothing to send.
  [[nodiscard]] std::uint32_t take_grant();

  // Moves the target, between limits::kInitialWindow and limits::kMaxWindow for growth and below
  // that to shrink. Takes effect with the next grants.
  void set_target(std::uint32_t target) { target_ = target; }

  std::uint32_t target() const { return target_; }
  std::uint32_t promised() const { return promised_; }
  std::uint32_t held() const { return held_; }

 private:
  std::uint32_t grantable() const;

  std::uint32_t target_;
  std::uint32_t promised_ = limits::kInitialWindow;
  std::uint32_t held_ = 0;
};

}  // namespace leat::mux
