// What happens because time passes, and what ends the session as a whole.

#include <algorithm>

#include "mux/session_impl.h"

namespace leat::mux {

Time Session::Impl::next_deadline() const {
  if (over()) return kNever;
  Time next = kNever;
  if (const Stream* const oldest = opening.front()) next = oldest->opened + config.open_timeout;
  if (config.ping_interval > Duration::zero()) {
    next = std::min(next, ping_outstanding ? std::max(heard, ping_asked) + config.ping_timeout
                                           : heard + config.ping_interval);
  }
  return next;
}

Fatal Session::Impl::on_deadline(Time now) {
  clock = now;
  if (over()) return fatal;
  while (Stream* const oldest = opening.front()) {
    if (oldest->opened + config.open_timeout > now) break;
    kill(*oldest, ResetReason::open_timeout, true);
  }
  if (config.ping_interval > Duration::zero()) {
    if (!ping_outstanding) {
      if (heard + config.ping_interval <= now) ping(now);
    } else if (std::max(heard, ping_asked) + config.ping_timeout <= now) {
      return die(Fatal::ping_timeout);
    }
  }
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
  if (reason != Fatal::go_away && reason != Fatal::ping_timeout) {
    control.go_away(static_cast<std::uint32_t>(GoAway::protocol_error));
  }
  want();
  return reason;
}

}  // namespace leat::mux
