#include "mux/memory_share.h"

#include <algorithm>

namespace leat::mux {

bool MemoryShare::take(std::size_t n) {
  if (spare_ < n) {
    // Near the end of the budget a whole block may be more than is left.
    const std::size_t missing = n - spare_;
    const std::size_t lease = std::max(missing, kLease);
    if (budget_.lease(lease)) {
      spare_ += lease;
    } else if (budget_.lease(missing)) {
      spare_ += missing;
    } else {
      return false;
    }
  }
  spare_ -= n;
  return true;
}

void MemoryShare::give_back(std::size_t n) {
  spare_ += n;
  if (spare_ < 2 * kLease) return;
  budget_.give_back(spare_ - kLease);
  spare_ = kLease;
}

}  // namespace leat::mux
