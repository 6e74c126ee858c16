#include "mux/window.h"

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
  held_ += n;
  return true;
}

void ReceiveWindow::consume(std::uint32_t n) {
  assert(n <= held_);
  held_ -= n;
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
