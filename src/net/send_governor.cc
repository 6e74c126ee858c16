#include "net/send_governor.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace leat::net {
namespace {

using namespace std::chrono_literals;

constexpr double kStartupGain = 2.0;
constexpr double kSteadyGain = 1.25;
constexpr double kDrainGain = 0.5;
constexpr Duration kLeastRtt =
    2ms;  // below, the bound would be a few packets and timers too coarse
constexpr std::size_t kLeastOutstanding = 32 * limits::KiB;
constexpr std::size_t kLeastUnsent = 4 * limits::KiB;
constexpr std::size_t kMostUnsent = 512 * limits::KiB;
constexpr std::size_t kFirstUnsent = 64 * limits::KiB;  // while the rate is not known
constexpr Duration kLeastInterval = 10ms;
constexpr Duration kBaseAge = 10s;
constexpr Duration kYieldingAge = 5s;
constexpr Duration kCrowdedFor = 300ms;

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

Duration at_least(Duration d) { return std::max(d, kLeastRtt); }

}  // namespace

const char* name(SendGovernor::Mode mode) {
  switch (mode) {
    case SendGovernor::Mode::unbounded:
      return "unbounded";
    case SendGovernor::Mode::startup:
      return "startup";
    case SendGovernor::Mode::steady:
      return "steady";
    case SendGovernor::Mode::drain:
      return "drain";
    case SendGovernor::Mode::yielding:
      return "yielding";
  }
  return "?";
}

// --- what the path gives ---

void SendGovernor::sample(const PathSample& path, bool held_back) {
  measure_rate(path, held_back);
  if (path.rtt > 0ns && (base_rtt_ == 0ns || path.rtt <= base_rtt_)) {
    base_rtt_ = path.rtt;
    base_at_ = path.at;
  }
  last_ = path;
  if (mode_ != Mode::unbounded && path.rtt > 0ns) step(path);
}

Duration SendGovernor::round() const { return std::max(last_.rtt, kLeastInterval); }

void SendGovernor::measure_rate(const PathSample& path, bool held_back) {
  if (interval_start_ == kNever) {
    interval_start_ = path.at;
    interval_acked_ = path.acked;
    interval_held_back_ = held_back;
    return;
  }
  interval_held_back_ = interval_held_back_ && held_back;
  const Duration elapsed = path.at - interval_start_;
  if (elapsed < round()) return;
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(path.acked - interval_acked_) /
                                               seconds(elapsed));
  // An interval in which the application had too little to send says only that the path gives at
  // least this much (draft-cheng-iccrg-delivery-rate-estimation §2.2.4).
  if (interval_held_back_ || rate > recent_rate()) {
    rates_[next_rate_++ % kRates] = rate;
    if (mode_ == Mode::startup && interval_held_back_) {
      const bool grew = static_cast<double>(rate) > 1.25 * static_cast<double>(startup_rate_);
      startup_flat_ = grew ? 0 : startup_flat_ + 1;
      if (grew) startup_rate_ = rate;
    }
  }
  if (rate >= peak_rate_ || path.at - peak_at_ > kBaseAge) {
    peak_rate_ = std::max(rate, recent_rate());
    peak_at_ = path.at;
  }
  interval_start_ = path.at;
  interval_acked_ = path.acked;
  interval_held_back_ = held_back;
}

std::uint64_t SendGovernor::recent_rate() const { return *std::ranges::max_element(rates_); }

std::uint64_t SendGovernor::rate() const { return recent_rate(); }

// --- modes ---

void SendGovernor::enter(Mode mode, Time now) {
  if (mode == Mode::drain) drain_low_ = Duration::max();
  mode_ = mode;
  entered_ = now;
  crowded_since_ = kNever;
}

// Whether the round trip is longer than our own bytes can make it. What we may hold beyond the
// path's own content is a quarter of it, or the floor, at the best rate of late.
bool SendGovernor::crowded(Duration rtt) const {
  const double peak = static_cast<double>(std::max<std::uint64_t>(peak_rate_, 1));
  const double own = static_cast<double>(outstanding_bound()) / peak;
  const double expected = std::max(seconds(base_rtt_) * kSteadyGain, own);
  return seconds(rtt) > 1.6 * expected + 0.004;
}

void SendGovernor::step(const PathSample& path) {
  const Time now = path.at;
  switch (mode_) {
    case Mode::unbounded:
      return;
    case Mode::startup:
      if (startup_flat_ >= 3) enter(Mode::steady, now);
      return;
    case Mode::steady:
      if (!crowded(path.rtt)) {
        crowded_since_ = kNever;
      } else if (crowded_since_ == kNever) {
        crowded_since_ = now;
      } else if (now - crowded_since_ > std::max(kCrowdedFor, 4 * base_rtt_)) {
        return enter(Mode::yielding, now);
      }
      if (now - base_at_ > kBaseAge && now - entered_ > kBaseAge) enter(Mode::drain, now);
      return;
    case Mode::yielding:
      // A drain that finds the queue full costs its share of the link: less often once two have.
      if (now - entered_ > (drain_lows_[0] == Duration::max() ? kYieldingAge : 2 * kYieldingAge)) {
        enter(Mode::drain, now);
      }
      return;
    case Mode::drain: {
      // Smoothing hides the first round trips; what is left of the queue must go first.
      const Duration settle = std::max<Duration>(2 * path.rtt, 100ms);
      if (now - entered_ > settle / 2) drain_low_ = std::min(drain_low_, path.rtt);
      if (now - entered_ < settle * 5 / 4 && crowded(path.rtt)) return;
      if (now - entered_ < settle) return;
      // The same round trip in three drains on end, with next to nothing of ours on the way: not a
      // neighbour's queue, which breathes, but the path itself has become longer.
      const auto near = [this](Duration d) {
        return d != Duration::max() && seconds(d) < 1.05 * seconds(drain_low_) &&
               seconds(d) > 0.95 * seconds(drain_low_);
      };
      const bool longer = near(drain_lows_[0]) && near(drain_lows_[1]);
      if (!longer && crowded(drain_low_)) {
        drain_lows_[0] = drain_lows_[1];
        drain_lows_[1] = drain_low_;
        return enter(Mode::yielding, now);
      }
      drain_lows_[0] = drain_lows_[1] = Duration::max();
      base_rtt_ = drain_low_;
      base_at_ = now;
      return enter(Mode::steady, now);
    }
  }
}

// --- what may be sent ---

std::size_t SendGovernor::outstanding_bound() const {
  if (recent_rate() == 0) return std::numeric_limits<std::size_t>::max();
  double gain = kSteadyGain;
  switch (mode_) {
    case Mode::unbounded:
    case Mode::yielding:
      return std::numeric_limits<std::size_t>::max();
    case Mode::startup:
      gain = kStartupGain;
      break;
    case Mode::drain:
      gain = kDrainGain;
      break;
    case Mode::steady:
      break;
  }
  const double path = static_cast<double>(recent_rate()) * seconds(at_least(base_rtt_));
  const auto floor = mode_ == Mode::drain ? kLeastOutstanding / 2 : kLeastOutstanding;
  return std::max(floor, static_cast<std::size_t>(gain * path));
}

std::size_t SendGovernor::unsent_bound() const {
  if (recent_rate() == 0) return kFirstUnsent;
  return std::clamp(static_cast<std::size_t>(static_cast<double>(recent_rate()) * 0.001),
                    kLeastUnsent, kMostUnsent);
}

std::size_t SendGovernor::allowance(std::size_t ring) const {
  const std::size_t unsent = last_.unsent + ring;
  const std::size_t outstanding = last_.outstanding + ring;
  const std::size_t a = unsent_bound(), b = outstanding_bound();
  return std::min(unsent < a ? a - unsent : 0, outstanding < b ? b - outstanding : 0);
}

Duration SendGovernor::retry_in() const { return 500us; }

Duration SendGovernor::sample_every() const { return 500us; }

}  // namespace leat::net
