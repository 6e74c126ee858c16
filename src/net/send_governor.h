// How many bytes a carrier may have on the way. What has been framed and encrypted cannot be
// overtaken, so two bounds are kept, both from what the kernel knows of the path:
//
//  * not yet sent (our ring and the socket's unsent bytes): rate × 1 ms. A stream that wakes now
//    waits at most that long for bytes that are still on this machine.
//  * outstanding (on the wire and unsent): gain × rate × base round trip, so that this connection
//    does not fill the queue of the narrowest link on the path, whatever the kernel's congestion
//    control would do. In steady the gain is 1.25; while packets are lost under bbr, 0.95 in seven
//    intervals of eight.
//
//                                             round trip not seen low for 10 s,
//      ┌─────────┐ growth stops  ┌────────┐   or only our least explains it     ┌───────┐
//      │ startup │──────────────▶│ steady │────────────────────────────────────▶│ drain │
//      │ gain 2  │               │  1.25  │◀────────────────────────────────────│  0.5  │
//      └─────────┘               └────────┘          round trip known again      └───────┘
//                                  │    ▲                                          ▲   │
//        round trip far above what │    │ a drain brought the round trip down      │   │ it did not
//        we can cause ourselves    ▼    └──────────────────────────┐    1 to 16 s  │   ▼
//                               ┌──────────────────────────────────┴───────────────┴──────┐
//                               │ yielding: somebody else fills the queue; no bound,      │
//                               │ or near half of what the path holds while we claim it   │
//                               └─────────────────────────────────────────────────────────┘
//
// A neighbour who fills the queue must not find us small when yielding begins, since two equal
// congestion controls keep the proportion they start with for a long time. So even before that the
// bound is at least half of what the path holds (round trip × its known rate): beside a neighbour
// that is an equal share, and alone it is less than the bound above.
//
// Who was there first holds nearly all of the queue when we begin. A drain then tells how wide the
// path is: the round trip falls by what our own bytes took of it. While we have less than our share
// of that, the kernel is to forget a few losses (`take_claim`), and the bound is near half of what
// the path holds: a claim is for an equal share.
//
// Numbers in, numbers out: no socket, no clock. After BBR's filters (draft-cardwell-iccrg-bbr) and
// the mode switch of Copa (NSDI 2018).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/limits.h"
#include "base/time.h"

namespace leat::net {

struct PathSample {
  Time at;
  std::uint64_t acked = 0;      // bytes that have arrived since the connection began
  std::size_t outstanding = 0;  // bytes on the wire and unsent
  std::size_t unsent = 0;       // of those, not yet sent
  Duration rtt{0};              // smoothed; 0: not known
  std::uint32_t resent = 0;     // packets sent again since the connection began
  // Acknowledgements without data that have come since then, each of which moved `rtt` by an eighth
  // of what it differed (RFC 6298 §2.3).
  std::uint32_t acknowledgements = 0;
};

class SendGovernor {
 public:
  enum class Mode : std::uint8_t { unbounded, startup, steady, drain, yielding };

  // `bound_outstanding` false: only the unsent bytes are bounded.
  explicit SendGovernor(bool bound_outstanding = true)
      : mode_(bound_outstanding ? Mode::startup : Mode::unbounded) {}

  // The path now. `held_back`: since the last sample there was always more to send than was
  // allowed, so that what was delivered is what the path (or the bound) gave, not what the
  // application had.
  void sample(const PathSample& path, bool held_back);

  // Bytes that may be put into the ring now, `ring` of them being there already.
  std::size_t allowance(std::size_t ring) const;
  // When to see whether `missing` more bytes are allowed: after half the time that the path takes
  // for them, once that is known, between 0.5 and 10 ms; 10 ms too while nothing arrives at all.
  Duration retry_in(std::size_t missing) const;
  // How old a sample may get while sending.
  Duration sample_every() const;

  Mode mode() const { return mode_; }
  std::size_t outstanding_bound() const;  // SIZE_MAX: none
  std::size_t unsent_bound() const;
  std::uint64_t rate() const;  // bytes/s, 0: not known
  Duration base_rtt() const { return base_rtt_; }
  // Packets are lost and no queue is to blame: a congestion control that takes loss for a full
  // queue is the wrong one here. Stays once it is true.
  bool wants_bbr() const { return losses_ >= kLosses; }
  // The kernel has lent it: what the path gives under it is yet to be found.
  void under_bbr();
  // True once for each loss that the kernel's congestion control is to forget
  // (`restart_window_control`): beside a neighbour who was there first it has less than its share.
  bool take_claim() { return std::exchange(claim_due_, false); }
  // It does not: nothing will be claimed any more.
  void refuse_claims() { may_claim_ = claiming_ = false; }

 private:
  static constexpr std::size_t kRates = 8;
  static constexpr int kLosses = 4;

  void measure_rate(const PathSample& path, bool held_back);
  void add_rate(std::uint64_t rate, bool held_back, Time now);
  void count_losses(const PathSample& path, bool held_back);
  void claim();
  void weigh_queue(const PathSample& path);
  Duration newest_rtt(const PathSample& path) const;
  void forget_neighbour();
  void step(const PathSample& path);
  void enter(Mode mode, Time now);
  std::uint64_t recent_rate() const;
  Duration round() const;
  double own_bound(Duration rtt) const;
  bool crowded(Duration rtt) const;
  bool unclear(Duration rtt) const;
  bool alone() const;
  Duration yielding_for() const;
  void end_drain(Time now);

  Mode mode_;
  PathSample last_{};
  Time progress_at_{};  // something had arrived, or nothing was on the way
  Time entered_{};

  // Delivery rate: the highest of the last few intervals in which we were held back.
  std::array<std::uint64_t, kRates> rates_{};
  std::size_t next_rate_ = 0;
  Time interval_start_ = kNever;
  std::uint64_t interval_acked_ = 0;
  bool interval_held_back_ = true;
  double before_acked_ = 0;      // in the interval before
  Duration before_elapsed_{0};   // 0: was not held back
  std::uint64_t peak_rate_ = 0;  // over the last ten seconds in which we did not yield
  Time peak_at_{};
  std::uint64_t free_rate_ = 0;  // the highest while the round trip said that nobody else was there
  double mean_rate_ = 0;         // of late
  std::uint64_t startup_rate_ = 0;
  int startup_flat_ = 0;

  // Base round trip: the lowest smoothed one, until it is ten seconds old.
  Duration base_rtt_{0};
  Time base_at_{};
  Duration last_rtt_{0};     // of the last acknowledgements alone
  Duration empty_rtt_{0};    // in startup, before much of ours was on the way
  bool filled_ = false;      // it has been since
  Duration drain_low_{0};    // the lowest seen in this drain
  Duration drained_rtt_{0};  // when it began
  Duration fell_to_{0};      // and when it last fell by more than noise does
  Time fell_at_{};
  // Of the two drains before it, while none of them found the path free.
  std::array<Duration, 2> drain_lows_{Duration::max(), Duration::max()};
  int same_drains_ = 0;
  bool had_all_ = false;  // before this drain: the rate was what the path gives when it is free
  Time crowded_since_ = kNever;
  Duration backoff_{0};     // until the next drain while yielding
  std::size_t refill_ = 0;  // outstanding before the last drain

  // Beside a neighbour: what the path gives both of us, 0 while not known.
  double shared_rate_ = 0;
  double drained_rate_ = 0;           // ours, before the last drain
  Duration newest_low_{0};            // the lowest `last_rtt_` in the last drain and since
  bool weighed_ = true;               // since the last drain
  bool shares_ = false;               // somebody else was there when it was weighed
  std::uint32_t drained_resent_ = 0;  // when it began
  int claims_ = 0, claims_allowed_ = 0;
  bool may_claim_ = true, claiming_ = false, claim_due_ = false;

  int losses_ = 0;  // rounds with a loss and without a queue
  Time lost_at_{}, resent_at_{};
  bool under_bbr_ = false;
};

const char* name(SendGovernor::Mode mode);

}  // namespace leat::net
