#include <algorithm>
#include <utility>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "net/socket.h"

namespace leat::net {
namespace {

constexpr Duration kFirstBound = std::chrono::milliseconds(250);

// So often is a relay that dies young expected back soon.
constexpr int kYoungDeaths = 20;

}  // namespace

Duration Backoff::next(Time now) {
  if (since_ == kNever) {
    since_ = now;
    bound_ = kFirstBound;
    return Duration(0);
  }
  const Duration limit =
      now - since_ < limits::kBackoffShortUntil ? limits::kBackoffShort : limits::kBackoffLong;
  const Duration bound = std::min(bound_, limit);
  bound_ = std::min<Duration>(2 * bound, limits::kBackoffLong);
  return Duration(static_cast<Duration::rep>(random_u64() % (bound.count() + 1)));
}

void Backoff::succeeded() {
  since_ = kNever;
  bound_ = Duration(0);
  begun_anew_ = 0;
}

void Backoff::lived(Duration time, End end, Time now) {
  if (time >= limits::kBackoffShortUntil) return succeeded();
  if (since_ == kNever) return;
  const bool first = begun_anew_ == 0;
  if (first) bound_ = kFirstBound;
  if (!first && (end == End::closed || begun_anew_ >= kYoungDeaths)) return;
  ++begun_anew_;
  since_ = now;
}

}  // namespace leat::net
