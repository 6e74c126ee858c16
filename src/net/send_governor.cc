#include "net/send_governor.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace leat::net {
namespace {

using namespace std::chrono_literals;

constexpr double kStartupGain = 2.0;
constexpr double kSteadyGain = 1.25;
// Where packets are lost whatever is sent, each holds everything behind it up for a round trip, so
// that a path without a queue is worth more than the last tenth of it. More is probed for as bbr
// itself does, in one interval of eight (draft-cardwell-iccrg-bbr, ProbeBW).
constexpr double kLossyGain = 0.95;
constexpr Duration kLossyFor = 1s;  // since the last loss
constexpr double kDrainGain = 0.5;
constexpr Duration kLeastRtt =
    2ms;  // below, the bound would be a few packets and timers too coarse
constexpr std::size_t kLeastOutstanding = 32 * limits::KiB;
constexpr std::size_t kLeastUnsent = 4 * limits::KiB;
constexpr std::size_t kMostUnsent = 512 * limits::KiB;
constexpr std::size_t kFirstUnsent = 64 * limits::KiB;  // while the rate is not known
constexpr double kFairShare = 0.5;                      // of what the path holds
constexpr Duration kLeastRound = 10ms;
constexpr Duration kLeastInterval = 25ms;  // shorter ones measure how acknowledgements are bunched
constexpr Duration kBaseAge = 10s;
constexpr Duration kFirstBackoff = 2s, kLastBackoff = 16s;
constexpr Duration kCrowdedFor = 300ms;
constexpr Duration kUnclear = 20ms;
constexpr int kSureDrains = 4;
constexpr Duration kSameRtt = 500us;    // and a twentieth: less tells two drains not apart
constexpr Duration kStillFalls = 50ms;  // a drain's round trip, when it did so within this
constexpr Duration kLongestDrain = 2s;
// Shares of what the path gives: as it is weighed, which is rather too much.
constexpr double kClaimBelow = 0.46, kClaimTo = 0.52;
constexpr int kClaimsAtOnce = 3;     // before it is weighed again
constexpr int kMostClaims = 8;       // beside one neighbour: an equal share of several is less
constexpr double kLeastFall = 0.05;  // of the round trip in a drain: less is not measurable
constexpr double kMostFall = 0.58;   // by more: most was our queue, and nobody's but ours
constexpr Duration kSoonest = 500us, kLatest = 10ms;  // to the next look at the path
constexpr Duration kStill = 200ms;  // longer than acknowledgements are held back on any path

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

Duration duration(double s) { return Duration(static_cast<Duration::rep>(s * 1e9)); }

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
  count_losses(path, held_back);
  if (path.rtt > 0ns && (base_rtt_ == 0ns || path.rtt <= base_rtt_)) {
    base_rtt_ = path.rtt;
    base_at_ = path.at;
  }
  if (path.acked != last_.acked || path.outstanding == 0) progress_at_ = path.at;
  last_rtt_ = newest_rtt(path);
  last_ = path;
  if (mode_ != Mode::unbounded && path.rtt > 0ns) step(path);
}

// What the acknowledgements since the last sample say by themselves: few come in a drain, and the
// mean says for long what was before it.
Duration SendGovernor::newest_rtt(const PathSample& path) const {
  const std::uint32_t came = path.acknowledgements - last_.acknowledgements;
  if (came == 0 || last_.rtt == 0ns) return path.rtt;
  const double old = std::pow(7.0 / 8.0, came);
  return std::max(base_rtt_, duration((seconds(path.rtt) - old * seconds(last_.rtt)) / (1 - old)));
}

Duration SendGovernor::round() const {
  return std::max(last_.rtt, mode_ == Mode::startup ? kLeastRound : kLeastInterval);
}

void SendGovernor::measure_rate(const PathSample& path, bool held_back) {
  if (interval_start_ != kNever) {
    interval_held_back_ = interval_held_back_ && held_back;
    const Duration elapsed = path.at - interval_start_;
    // Acknowledgements come in bunches: an interval ends with one, so that the bytes of a bunch and
    // the silence before it are counted together. A bunch may lie in two of them: what the path
    // gives is not more than both have had (but bbr probes for one alone).
    if (elapsed < round() || path.acked == last_.acked) return;
    const auto acked = static_cast<double>(std::max(path.acked, interval_acked_) - interval_acked_);
    double rate = acked / seconds(elapsed);
    if (before_elapsed_ > 0ns && mode_ != Mode::startup && !under_bbr_) {
      rate = std::min(rate, (acked + before_acked_) / seconds(elapsed + before_elapsed_));
    }
    add_rate(static_cast<std::uint64_t>(rate), interval_held_back_, path.at);
    before_acked_ = acked;
    before_elapsed_ = interval_held_back_ ? elapsed : 0ns;
  }
  interval_start_ = path.at;
  interval_acked_ = path.acked;
  interval_held_back_ = held_back;
}

void SendGovernor::add_rate(std::uint64_t rate, bool held_back, Time now) {
  // An interval in which the application had too little to send, or a drain held it back, says only
  // that the path gives at least this much (draft-cheng-iccrg-delivery-rate-estimation §2.2.4).
  // Only a path that has become narrower keeps its queue in a drain.
  const bool narrower = !had_all_ && crowded(last_.rtt);
  if ((held_back && (mode_ != Mode::drain || narrower)) || rate > recent_rate()) {
    rates_[next_rate_++ % kRates] = rate;
    mean_rate_ += (static_cast<double>(rate) - mean_rate_) / 4;
    if (mode_ == Mode::startup && held_back) {
      const bool grew = static_cast<double>(rate) > 1.25 * static_cast<double>(startup_rate_);
      startup_flat_ = grew ? 0 : startup_flat_ + 1;
      if (grew) startup_rate_ = rate;
    }
  }
  if (!crowded(last_.rtt)) free_rate_ = std::max(rate, free_rate_);
  // Beside a neighbour our rate is only a share of the path's, which is remembered meanwhile.
  const bool aged = now - peak_at_ > kBaseAge && mode_ != Mode::yielding && mode_ != Mode::drain;
  if (rate >= peak_rate_ || aged) {
    peak_rate_ = std::max(rate, recent_rate());
    peak_at_ = now;
  }
}

// Loss without a queue, round after round, is the path's own and not a sign of too much sent.
void SendGovernor::count_losses(const PathSample& path, bool held_back) {
  if (path.resent != last_.resent) {
    // What is sent again of one round is one loss to the kernel.
    if (path.at - resent_at_ > path.rtt) claim();
    resent_at_ = path.at;
  }
  if (wants_bbr()) return;
  if (path.rtt > base_rtt_ * 3 / 2 + 5ms) {
    losses_ = 0;
  } else if (held_back && path.resent != last_.resent && path.at - lost_at_ > round()) {
    losses_ = path.at - lost_at_ > kBaseAge ? 1 : losses_ + 1;
    lost_at_ = path.at;
  }
}

// cubic comes back to the window that it had at its last loss, and stays there: two of them keep
// the proportion they begin with for minutes. Without that memory it grows by a twentieth in a
// round trip.
void SendGovernor::claim() {
  // What a drain took from us is not what the neighbour has.
  const double rate = weighed_ && mode_ == Mode::yielding ? mean_rate_ : drained_rate_;
  claiming_ =
      may_claim_ && !under_bbr_ && rate < kClaimBelow * shared_rate_ && claims_ < claims_allowed_;
  if (!claiming_) return;
  ++claims_;
  claim_due_ = true;
}

// After a drain the queue was the neighbour's alone, and the round trip fell by what ours took: so
// many bytes in so much time is what the path gives. That says nothing where he lost meanwhile, as
// we then did as well, or where he has only begun to fill the queue.
void SendGovernor::weigh_queue(const PathSample& path) {
  if (weighed_) return;
  newest_low_ = std::min(newest_low_, last_rtt_);
  if (path.at - entered_ < drained_rtt_ * 3 / 2) return;
  weighed_ = true;
  mean_rate_ = drained_rate_;
  if (path.resent != drained_resent_ || path.rtt > drained_rtt_ * 5 / 4) return;
  const double whole = seconds(drained_rtt_), low = seconds(newest_low_);
  const double fell = std::max(whole - low, kLeastFall * whole);
  shared_rate_ = static_cast<double>(refill_) / fell;
  shares_ = fell < kMostFall * whole;
  claims_allowed_ = std::min(claims_ + kClaimsAtOnce, kMostClaims);
}

void SendGovernor::forget_neighbour() {
  shared_rate_ = 0;
  claims_ = 0;
  shares_ = claiming_ = false;
}

void SendGovernor::under_bbr() {
  forget_neighbour();
  under_bbr_ = true;
  startup_rate_ = 0;
  startup_flat_ = 0;
  if (mode_ != Mode::unbounded) enter(Mode::startup, last_.at);
}

std::uint64_t SendGovernor::recent_rate() const { return *std::ranges::max_element(rates_); }

std::uint64_t SendGovernor::rate() const { return recent_rate(); }

// --- modes ---

void SendGovernor::enter(Mode mode, Time now) {
  if (mode == Mode::drain) {
    drain_low_ = newest_low_ = Duration::max();
    had_all_ = alone();
    refill_ = last_.outstanding;
    drained_resent_ = last_.resent;
    drained_rate_ = mean_rate_;
    drained_rtt_ = fell_to_ = last_.rtt;
    fell_at_ = now;
  }
  mode_ = mode;
  entered_ = now;
  crowded_since_ = kNever;
}

// Whether the round trip is longer than our own bytes can make it. What we may hold beyond the
// path's own content is a quarter of it, or the floor, at the best rate of late.
bool SendGovernor::crowded(Duration rtt) const {
  const double peak = static_cast<double>(std::max<std::uint64_t>(peak_rate_, 1));
  const double expected = std::max(seconds(base_rtt_) * kSteadyGain, own_bound(base_rtt_) / peak);
  return seconds(rtt) > 1.6 * expected + 0.004;
}

// Whether only the least that we may hold explains a round trip far above the base: on a slow path,
// or beside a neighbour who leaves us little. A drain tells.
bool SendGovernor::unclear(Duration rtt) const {
  return rtt > 4 * base_rtt_ + kUnclear && !crowded(rtt);
}

// Whether we get what the path gave when nobody else was there.
bool SendGovernor::alone() const {
  if (shares_) return mean_rate_ > 0.75 * shared_rate_;
  const double peak = static_cast<double>(peak_rate_);
  return mean_rate_ > 0.85 * peak && peak < 1.1 * static_cast<double>(free_rate_);
}

// A drain that finds the queue full costs its share of the link, so they become rare. When our rate
// says that the neighbour has gone, the queue is ours and the next one is due.
Duration SendGovernor::yielding_for() const {
  return alone() ? std::max<Duration>(kFirstBackoff / 2, backoff_ / 4) : backoff_;
}

void SendGovernor::step(const PathSample& path) {
  const Time now = path.at;
  switch (mode_) {
    case Mode::unbounded:
      return;
    case Mode::startup:
      // Longer than the base before we have sent much: for somebody else's queue, or
      // acknowledgements that are held back, of which the next will tell.
      filled_ = filled_ || path.outstanding > kLeastOutstanding / 2;
      empty_rtt_ = filled_ ? std::min(empty_rtt_, path.rtt) : path.rtt;
      if (startup_flat_ >= 3) enter(Mode::steady, now);
      return;
    case Mode::steady:
      if (!crowded(path.rtt)) {
        crowded_since_ = kNever;
      } else if (crowded_since_ == kNever) {
        crowded_since_ = now;
      } else if (now - crowded_since_ > std::max(kCrowdedFor, 4 * base_rtt_)) {
        backoff_ = kFirstBackoff;
        refill_ = 0;
        return enter(Mode::yielding, now);
      }
      if (unclear(path.rtt) ? now - entered_ > kCrowdedFor
                            : std::min(now - base_at_, now - entered_) > kBaseAge) {
        enter(Mode::drain, now);
      }
      return;
    case Mode::yielding:
      weigh_queue(path);
      if (!crowded(path.rtt)) shares_ = claiming_ = false;  // he has gone
      if (now - entered_ > yielding_for()) enter(Mode::drain, now);
      return;
    case Mode::drain: {
      const Duration since = now - entered_;
      if (path.rtt < fell_to_ - fell_to_ / 128) {
        fell_to_ = path.rtt;
        fell_at_ = now;
      }
      const Duration settle = std::max<Duration>(2 * path.rtt, 100ms);
      if (since > settle / 2) {
        drain_low_ = std::min(drain_low_, path.rtt);
        newest_low_ = std::min(newest_low_, last_rtt_);
      }
      if (!had_all_ && crowded(path.rtt)) {
        // There may be a neighbour. Our own queue has gone after the round trip that it made, and
        // what was sent then has been acknowledged unless the queue is his. More would cost our
        // share: the kernel halves a window that is not full for a timeout (RFC 2861 §3.2).
        if (since > drained_rtt_ + 4 * base_rtt_ + kStillFalls) end_drain(now);
        return;
      }
      // The smoothed round trip comes down for several more: cut short it says something else each
      // time.
      const bool falls = now - fell_at_ < std::max(path.rtt, kStillFalls);
      const bool known = path.rtt < base_rtt_ + base_rtt_ / 16;
      const bool longer = had_all_ && falls && !known && since < std::max(kLongestDrain, settle);
      if (since >= settle && !longer) end_drain(now);
      return;
    }
  }
}

void SendGovernor::end_drain(Time now) {
  // The same round trip in three drains on end, with next to nothing of
  // ours on the way, and before them the path's whole rate: nobody shares it, the path itself has
  // become longer. When its rate has changed as well, that many drains have to do that a
  // neighbour's queue would have moved.
  const auto near = [this](Duration d) {
    return d != Duration::max() && seconds(d) < 1.05 * seconds(drain_low_) + seconds(kSameRtt) &&
           seconds(d) > 0.95 * seconds(drain_low_) - seconds(kSameRtt);
  };
  const bool same = near(drain_lows_[0]) && near(drain_lows_[1]);
  same_drains_ = same ? same_drains_ + 1 : 0;
  // A neighbour's share may stay as it is for a minute.
  const bool longer =
      same && (had_all_ || same_drains_ >= (shares_ ? 2 * kSureDrains : kSureDrains));
  // On a slow path half of the bytes are half of the round trip; a neighbour's queue stays.
  const bool his = !had_all_ && unclear(drain_low_) && drain_low_ > drained_rtt_ * 3 / 4;
  if (!longer && (his || crowded(drain_low_))) {
    drain_lows_[0] = drain_lows_[1];
    drain_lows_[1] = drain_low_;
    backoff_ = std::clamp(2 * backoff_, kFirstBackoff, kLastBackoff);
    weighed_ = false;
    return enter(Mode::yielding, now);
  }
  drain_lows_[0] = drain_lows_[1] = Duration::max();
  same_drains_ = 0;
  backoff_ = 0ns;
  forget_neighbour();
  base_rtt_ = drain_low_;
  base_at_ = now;
  peak_rate_ = recent_rate();
  peak_at_ = now;
  free_rate_ = peak_rate_;
  enter(Mode::steady, now);
}

// --- what may be sent ---

double SendGovernor::own_bound(Duration rtt) const {
  double gain = kSteadyGain, floor = kLeastOutstanding;
  const bool lossy = under_bbr_ && last_.at - resent_at_ < kLossyFor;
  if (lossy && next_rate_ % kRates != 0) gain = kLossyGain;
  if (mode_ == Mode::startup) gain = kStartupGain;
  if (mode_ == Mode::drain) gain = kDrainGain, floor = 0.5 * kLeastOutstanding;
  return std::max(floor, gain * static_cast<double>(recent_rate()) * seconds(at_least(rtt)));
}

std::size_t SendGovernor::outstanding_bound() const {
  const Duration since = last_.at - entered_;
  if (mode_ == Mode::yielding && refill_ > 0 && since < last_.rtt) {
    // The kernel's window is as before the drain; to fill it at once would overflow the queue.
    return std::max(kLeastOutstanding,
                    static_cast<std::size_t>(static_cast<double>(refill_) *
                                             (seconds(since) / seconds(last_.rtt))));
  }
  if (mode_ == Mode::yielding && claiming_) {
    return std::max(kLeastOutstanding,
                    static_cast<std::size_t>(kClaimTo * shared_rate_ * seconds(last_.rtt)));
  }
  if (recent_rate() == 0 || mode_ == Mode::unbounded || mode_ == Mode::yielding) {
    return std::numeric_limits<std::size_t>::max();
  }
  double bound = own_bound(mode_ == Mode::startup ? std::max(base_rtt_, empty_rtt_) : base_rtt_);
  if (mode_ != Mode::drain) {
    bound = std::max(bound, kFairShare * static_cast<double>(peak_rate_) * seconds(last_.rtt));
  }
  return static_cast<std::size_t>(bound);
}

std::size_t SendGovernor::unsent_bound() const {
  if (recent_rate() == 0) return kFirstUnsent;
  // Beside a neighbour the kernel must never be short of bytes: its window grows only while it is
  // full. What a token waits for is the neighbour's queue anyway.
  const double ahead = mode_ == Mode::yielding ? 0.004 : 0.001;
  const std::size_t least = mode_ == Mode::yielding ? 4 * kLeastUnsent : kLeastUnsent;
  return std::clamp(static_cast<std::size_t>(static_cast<double>(recent_rate()) * ahead), least,
                    kMostUnsent);
}

std::size_t SendGovernor::allowance(std::size_t ring) const {
  const std::size_t unsent = last_.unsent + ring;
  const std::size_t outstanding = last_.outstanding + ring;
  const std::size_t a = unsent_bound(), b = outstanding_bound();
  return std::min(unsent < a ? a - unsent : 0, outstanding < b ? b - outstanding : 0);
}

Duration SendGovernor::retry_in(std::size_t missing) const {
  if (last_.at - progress_at_ > std::max<Duration>(kStill, 4 * last_.rtt)) return kLatest;
  // Before the rate is what the path gives, waiting by it would keep it low.
  if (mode_ == Mode::startup || mode_ == Mode::unbounded || recent_rate() == 0) return kSoonest;
  const double wait = static_cast<double>(missing) / static_cast<double>(recent_rate()) / 2;
  return wait < seconds(kLatest)
             ? std::max(kSoonest, Duration(static_cast<Duration::rep>(wait * 1e9)))
             : kLatest;
}

Duration SendGovernor::sample_every() const { return kSoonest; }

}  // namespace leat::net
