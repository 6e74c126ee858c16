// Which of the peer's stream ids have been used. Ids need not arrive in order (docs/protocol.md
// §1.4), and must not arrive twice. The last 4096 are remembered one by one; an id older than those
// counts as used.
#pragma once

#include <bitset>
#include <cstdint>

namespace leat::mux {

class IdHistory {
 public:
  static constexpr std::uint32_t kRemembered = 4096;

  // False: used before, or too old to tell.
  [[nodiscard]] bool use(std::uint32_t id) {
    const std::uint32_t n = id / 2;  // all of one parity
    if (!any_ || n > highest_) {
      const std::uint32_t ahead = any_ ? n - highest_ : kRemembered;
      for (std::uint32_t i = 1; i <= ahead && i <= kRemembered; ++i) {
        used_.reset((n + kRemembered - i + 1) % kRemembered);
      }
      highest_ = n;
      any_ = true;
    } else if (highest_ - n >= kRemembered || used_.test(n % kRemembered)) {
      return false;
    }
    used_.set(n % kRemembered);
    return true;
  }

 private:
  std::bitset<kRemembered> used_;
  std::uint32_t highest_ = 0;
  bool any_ = false;
};

}  // namespace leat::mux
