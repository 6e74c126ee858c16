#include "net/link.h"

#include <algorithm>

#include "net/link_impl.h"

namespace leat::net {

const char* name(LinkFault fault) {
  switch (fault) {
    case LinkFault::none:
      return "none";
    case LinkFault::bad_chunk:
      return "bad_chunk";
    case LinkFault::bad_ack:
      return "bad_ack";
    case LinkFault::dead:
      return "dead";
    case LinkFault::closed:
      return "closed";
  }
  return "unknown";
}

Link::Link(LinkUpper& upper, Framing framing, std::size_t log_limit, mux::MemoryShare* memory)
    : impl_(std::make_unique<Impl>(upper, framing, log_limit, memory)) {}

Link::~Link() = default;

bool Link::attach(std::uint64_t peer_received, Time now) {
  Impl& i = *impl_;
  detach();
  if (i.closing || (i.fault != LinkFault::none && i.fault != LinkFault::dead)) return false;
  if (peer_received < i.log.begin() || peer_received > i.log.end()) return false;

  i.attached = true;
  i.fault = LinkFault::none;
  ++i.stats.carriers;

  i.log.release(peer_received);
  i.stats.acked = peer_received;
  i.stats.log_bytes = i.log.memory();
  i.sent = peer_received;
  i.resend_at = i.log.seek(peer_received);
  if (i.resending()) {
    i.resend_buffer = std::make_unique_for_overwrite<std::uint8_t[]>(LinkLog::kFront + kDataMax);
  }
  i.pong_waits = false;
  i.ping_waits = true;
  i.ping_unanswered = false;
  i.pong_seen = i.ping_value;

  i.header_size = 0;
  i.told = i.received;
  i.ack_at = kNever;
  i.ack_is_due = false;
  i.last_received = now;
  i.unacked_since = kNever;
  return true;
}

void Link::detach() { impl_->attached = false; }
bool Link::attached() const { return impl_->attached; }

LinkFault Link::feed(Bytes in, Time now) { return impl_->feed(in, now); }
Bytes Link::pull(std::size_t max, Time now) { return impl_->pull(max, now); }

bool Link::wants_pull(Time now) const {
  const Impl& i = *impl_;
  if (!i.attached || i.close_sent) return false;
  if (i.closing) return true;
  if (i.bare || i.fault != LinkFault::none) return false;
  return i.pong_waits || i.ping_waits || i.ack_due(now) || i.resending();
}

bool Link::log_full() const { return impl_->log.full(); }

bool Link::Impl::ack_due(Time now) const { return ack_is_due || ack_at <= now; }

// Whoever speaks and takes nothing is as gone as the silent.
Time Link::Impl::dead_at() const {
  const Time silent = last_received + limits::kLinkDead;
  return unacked_since == kNever ? silent : std::min(silent, unacked_since + limits::kLinkStuck);
}

// What is due is remembered, so that no deadline of the past is reported while the carrier is
// blocked.
Time Link::next_deadline() const {
  const Impl& i = *impl_;
  if (i.bare || !i.attached || i.fault != LinkFault::none) return kNever;
  if (i.closing) return i.dead_at();
  const bool pinging = i.ping_waits || i.ping_unanswered;
  return std::min(
      {i.dead_at(), i.ack_at, pinging ? kNever : i.last_received + limits::kLinkPingInterval});
}

void Link::paused(Time now) {
  Impl& i = *impl_;
  i.last_received = now;
  if (i.unacked_since != kNever) i.unacked_since = now;
  // Nothing is read, so nothing is answered: a ping of ours is what the peer hears meanwhile.
  if (i.attached && !i.bare && now >= i.ping_sent + limits::kLinkPingInterval) i.ping_waits = true;
}

LinkFault Link::on_deadline(Time now) {
  Impl& i = *impl_;
  if (i.bare || !i.attached) return LinkFault::none;
  if (i.fault != LinkFault::none) return i.fault;
  if (i.ack_due(now)) {
    i.ack_is_due = true;
    i.ack_at = kNever;
  }
  if (now >= i.last_received + limits::kLinkPingInterval && !i.ping_unanswered) i.ping_waits = true;
  if (now >= i.dead_at()) i.fault = LinkFault::dead;
  return i.fault;
}

void Link::close(std::string_view code, std::string_view text) {
  Impl& i = *impl_;
  if (i.closing) return;
  i.closing = true;
  i.close_bytes = close_chunk(code, text);
}

std::string_view Link::close_code() const { return impl_->close_code; }
std::string_view Link::close_text() const { return impl_->close_text; }
std::uint64_t Link::received() const { return impl_->received; }
const LinkStats& Link::stats() const { return impl_->stats; }

}  // namespace leat::net
