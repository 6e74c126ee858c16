#include "mux/window.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace leat::mux {

bool SendWindow::grant(std::uint32_t credit) {
  if (credit > std::numeric_limits<std::uint32_t>::max() - available_) return false;
  available_ += credit;
  return true;
}

void SendWindow::spend(std::uint32_t n) {
  assert(n <= available_);
  available_ -= n;
}

bool ReceiveWindow::receive(std::uint32_t n) {
  if (n > promised_) return false;
  promised_ -= n;
  // What is held can be no reason to promise more: then the receiver is the slower of the two.
  ran_out_ = ran_out_ || (promised_ < target_ / 16 && held_ < target_ / 2);
  held_ += n;
  return true;
}

void ReceiveWindow::consume(std::uint32_t n) {
  assert(n <= held_);
  held_ -= n;
  used_ += n;
}

ReceiveWindow::Fit ReceiveWindow::judge(Time now, Duration rtt) {
  constexpr Duration kLong = std::chrono::minutes(1);  // keeps the product below 2^63
  const Duration since = std::min(now - judged_, kLong);
  if (used_ < target_ && since <= 12 * rtt) return Fit::good;  // not yet known
  const Duration window = since * target_ / std::max(used_, 1u);
  Fit fit = Fit::good;
  if (window <= 3 * rtt || ran_out_) {
    fit = Fit::tight;
  } else if (window > 12 * rtt) {
    fit = Fit::loose;
  }
  judged_ = now;
  used_ = 0;
  ran_out_ = false;
  return fit;
}

std::uint32_t ReceiveWindow::take_grant() {
  const std::uint32_t credit = grantable();
  promised_ += credit;
  return credit;
}

std::uint32_t ReceiveWindow::grantable() const {
  const std::uint32_t out = promised_ + held_;  // at most the largest target so far
  return out < target_ ? target_ - out : 0;
}

}  // namespace leat::mux
