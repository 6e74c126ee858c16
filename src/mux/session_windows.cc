// What a grant carries: the window grows while it is what holds its stream back, and shrinks when
// it is more than the stream makes use of (docs/flow_control.md).

#include <algorithm>

#include "mux/session_impl.h"

namespace leat::mux {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kStopGrowth = 50;  // percent of the receive budget, docs/protocol.md §1.9

// What windows may grow by, as a part of the receive budget: so little that no stalled receiver of
// a grown stream, nor all of them, bring the session to where it stops reading.
constexpr std::size_t kGrowthPart = 2;

// On short paths a grant waits for two processes to be woken rather than for the path.
constexpr Duration kLeastRtt = 1ms;

constexpr Duration kIdle = 1s;  // at least so long a window is not used before others may have it

constexpr Duration kRttAge = 10s;  // after which a session that pings measures again

}  // namespace

std::uint32_t Session::Impl::grant(Stream& stream) {
  if (!may_receive(stream.state)) return 0;
  if (config.ping_interval > Duration::zero() && (!rtt_asked || clock - *rtt_asked >= kRttAge)) {
    rtt_asked = clock;
    ping(clock);
  }
  const Duration trip = std::max(rtt, kLeastRtt);
  switch (stream.receive.judge(clock, trip)) {
    case ReceiveWindow::Fit::tight:
      if (!pool.reached(kStopGrowth) && !pool.scarce()) {
        shares.grow(stream, pool.limit() / kGrowthPart, clock - std::max(kIdle, 12 * trip));
      }
      break;
    case ReceiveWindow::Fit::loose:
      shares.shrink(stream);
      break;
    case ReceiveWindow::Fit::good:
      shares.keep(stream);
      break;
  }
  return stream.receive.take_grant();
}

void Session::Impl::set_rtt(Duration measured) { rtt = std::max(measured, Duration::zero()); }

// Pings wait behind what the peer has queued, so the shortest answer counts. It is forgotten by an
// eighth with each longer one: paths change.
void Session::Impl::on_pong() {
  ping_outstanding = false;
  stats.ping_rtt = clock - ping_left;
  set_rtt(rtt == Duration::zero() ? stats.ping_rtt : std::min(stats.ping_rtt, rtt + rtt / 8));
}

}  // namespace leat::mux
