// The way in: header, then data handed on as it comes or a control chunk gathered whole.

#include <algorithm>
#include <cstring>

#include "net/link_impl.h"

namespace leat::net {

LinkFault Link::Impl::feed(Bytes in, Time now) {
  if (!attached || over || closing) return LinkFault::none;
  if (fault != LinkFault::none) return fault;
  if (!in.empty()) last_received = now;
  if (bare) {
    stats.data_received = received += in.size();
    over = !upper.on_link_data(in);
    return LinkFault::none;
  }
  while (!in.empty()) {
    if (header_size < limits::kChunkHeader) {
      if (!take_header(in)) return fault;
    } else if (load_header(header.data()).kind == ChunkKind::data) {
      take_data(in, now);
      if (!attached || over || closing) return LinkFault::none;
    } else {
      fault = take_control(in, now);
      if (fault != LinkFault::none) return fault;
    }
  }
  return LinkFault::none;
}

// False: the header is not one that may come here, which is known before any of the body is.
bool Link::Impl::take_header(Bytes& in) {
  const std::size_t n = std::min(limits::kChunkHeader - header_size, in.size());
  std::memcpy(header.data() + header_size, in.data(), n);
  header_size += n;
  in = in.subspan(n);
  if (header_size < limits::kChunkHeader) return true;
  const ChunkHeader head = load_header(header.data());
  if (head.kind < ChunkKind::data || !well_formed(head)) {
    fault = LinkFault::bad_chunk;
    return false;
  }
  left = head.length;
  return true;
}

// Hands on what there is of the chunk: a carrier that is cut in mid-chunk has still brought it.
void Link::Impl::take_data(Bytes& in, Time now) {
  const Bytes data = in.first(std::min(left, in.size()));
  in = in.subspan(data.size());
  left -= data.size();
  if (left == 0) header_size = 0;
  received += data.size();
  stats.data_received = received;
  if (received - told >= limits::kLinkAckBytes) {
    ack_is_due = true;
    ack_at = kNever;
  } else if (received - told == data.size()) {  // the first of them
    ack_at = now + limits::kLinkAckDelay;
  }
  over = !upper.on_link_data(data);
}

LinkFault Link::Impl::take_control(Bytes& in, Time now) {
  const ChunkHeader head = load_header(header.data());
  const std::size_t n = std::min(left, in.size());
  std::memcpy(body.data() + head.length - left, in.data(), n);
  in = in.subspan(n);
  left -= n;
  if (left > 0) return LinkFault::none;
  header_size = 0;
  if (head.kind == ChunkKind::close) {
    const bool good = parse_close(Bytes(body).first(head.length), close_code, close_text);
    return good ? LinkFault::closed : LinkFault::bad_chunk;
  }
  return on_number(load_be64(body.data()), now);
}

LinkFault Link::Impl::on_number(std::uint64_t value, Time now) {
  switch (load_header(header.data()).kind) {
    case ChunkKind::ack:
      if (value <= stats.acked || value > sent) return LinkFault::bad_ack;
      log.release(value);
      stats.acked = value;
      unacked_since = value < sent ? now : kNever;
      stats.log_bytes = log.memory();
      return LinkFault::none;
    case ChunkKind::ping:
      pong_waits = true;
      pong_value = value;
      return LinkFault::none;
    case ChunkKind::pong:
      if (value <= pong_seen || value > ping_value) return LinkFault::bad_chunk;
      pong_seen = value;
      ping_unanswered = value != ping_value;
      if (!ping_unanswered) stats.rtt = now - ping_sent;
      return LinkFault::none;
    default:
      return LinkFault::bad_chunk;
  }
}

}  // namespace leat::net
