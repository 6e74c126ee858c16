#include "mux/window_shares.h"

#include <algorithm>

#include "base/limits.h"

namespace leat::mux {
namespace {

// Shares are taken and moved in no smaller amounts. It bounds how many streams have one, and so
// what looking at all of them costs.
constexpr std::uint32_t kStep = 64 * limits::KiB;

}  // namespace

void WindowShares::grow(Stream& stream, std::size_t total, Time idle_since) {
  keep(stream);
  const std::uint32_t target = stream.receive.target();
  const std::uint32_t wanted = std::min(target, most_ - std::min(most_, target));
  const auto free = [&] { return total - std::min(total, used_); };
  while (free() < wanted) {
    Stream* const idle = grown_.front();
    if (idle == nullptr || idle == &stream || idle->receive.judged() > idle_since) break;
    release(*idle);
  }
  if (free() < wanted) {
    Stream* const rich = largest();
    const std::uint32_t ahead =
        rich == nullptr ? 0 : share(*rich) - std::min(share(*rich), share(stream));
    if (ahead >= 2 * kStep) {
      give_back(*rich,
                static_cast<std::uint32_t>(std::min<std::size_t>(ahead / 2, wanted - free())));
    }
  }
  const auto more = static_cast<std::uint32_t>(std::min<std::size_t>(wanted, free()));
  if (more < kStep) return;
  if (!stream.Linked<GrownTag>::linked()) grown_.push_back(stream);
  stream.receive.set_target(target + more);
  used_ += more;
}

void WindowShares::shrink(Stream& stream) {
  keep(stream);
  const std::uint32_t half = stream.receive.target() / 2;
  give_back(stream, share(stream) < half + kStep ? share(stream) : half);
}

void WindowShares::keep(Stream& stream) {
  if (!stream.Linked<GrownTag>::linked()) return;
  Grown::unlink(stream);
  grown_.push_back(stream);
}

void WindowShares::give_back(Stream& stream, std::uint32_t n) {
  stream.receive.set_target(stream.receive.target() - n);
  used_ -= n;
  if (share(stream) == 0 && stream.Linked<GrownTag>::linked()) Grown::unlink(stream);
}

Stream* WindowShares::largest() const {
  Stream* best = nullptr;
  for (Stream* s = grown_.front(); s != nullptr; s = grown_.after(*s)) {
    if (best == nullptr || share(*s) > share(*best)) best = s;
  }
  return best;
}

}  // namespace leat::mux
