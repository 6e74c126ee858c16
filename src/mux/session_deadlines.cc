// What happens because time passes, and what ends the session as a whole.

#include <algorithm>

#include "mux/session_impl.h"

namespace leat::mux {

// While input is left in the carrier nothing can be said about what the peer has not sent: neither
// a missing ACK nor silence counts, and the time that passed in it is not held against the peer
// afterwards. What can be done is to look for receivers that have stalled.
Time Session::Impl::next_deadline() const {
  if (over()) return kNever;
  if (feed_paused) return std::min(next_stall_check, write_deadline());
  return std::min({open_deadline(), ping_deadline(), write_deadline()});
}

Time Session::Impl::open_deadline() const {
  const Stream* const oldest = opening.front();
  return oldest == nullptr ? kNever : std::max(oldest->opened, unpaused) + config.open_timeout;
}

Time Session::Impl::write_deadline() const {
  if (config.write_timeout <= Duration::zero() || !wants_pull()) return kNever;
  return waits_since + config.write_timeout;
}

Time Session::Impl::ping_deadline() const {
  if (config.ping_interval <= Duration::zero()) return kNever;
  return ping_outstanding ? std::max(heard, ping_asked) + config.ping_timeout
                          : heard + config.ping_interval;
}

Fatal Session::Impl::on_deadline(Time now) {
  clock = now;
  if (over()) return fatal;
  if (write_deadline() <= now) return die(Fatal::write_timeout);
  if (feed_paused) {
    const Fatal fault = shed_stalled();
    if (fault != Fatal::none) return die(fault);
    relieve();  // other sessions may have left more to this one
  }
  if (!feed_paused) {
    while (open_deadline() <= now) kill(*opening.front(), ResetReason::open_timeout, true);
    if (ping_deadline() <= now && ping_outstanding) return die(Fatal::ping_timeout);
    if (ping_deadline() <= now) ping(now);
  }
  if (write_deadline() <= now) waits_since = now;  // nothing waited until now
  return Fatal::none;
}

void Session::Impl::ping(Time now) {
  if (over() || ping_outstanding) return;
  ping_outstanding = true;
  ping_asked = now;
  control.ping(++ping_value);
  want();
}

void Session::Impl::go_away(GoAway code) {
  if (over() || (going_away && code == GoAway::normal)) return;  // once is enough
  going_away = true;
  control.go_away(static_cast<std::uint32_t>(code));
  want();
}

// The streams stay as they are, without being served, until the driver calls end_all.
Fatal Session::Impl::die(Fatal reason) {
  fatal = reason;
  control.clear_but_go_away();
  if (reason < Fatal::go_away) {
    control.go_away(static_cast<std::uint32_t>(GoAway::protocol_error));
  }
  want();
  return reason;
}

}  // namespace leat::mux
