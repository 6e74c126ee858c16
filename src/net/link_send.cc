// The way out: control chunks, data from the log, new data, close; in the order a record is filled.

#include <algorithm>
#include <cassert>
#include <cstring>

#include "net/link_impl.h"

namespace leat::net {
namespace {

constexpr std::size_t kNumberChunk = limits::kChunkHeader + kNumberSize;

// Data is asked for only where a mux frame with a byte of data fits (12 + 1).
constexpr std::size_t kLeastData = 13;

std::uint8_t* store_number(std::uint8_t* p, ChunkKind kind, std::uint64_t value) {
  store_header(p, {kNumberSize, kind});
  store_be64(p + limits::kChunkHeader, value);
  return p + kNumberChunk;
}

}  // namespace

Bytes Link::Impl::pull(std::size_t max, Time now) {
  if (!attached || close_sent) return {};
  if (bare) return pull_bare(max);
  if (closing) return close_out(max);
  if (fault != LinkFault::none) return {};

  // Traffic keeps no ping away for long: the round trip is asked for while it is used.
  if (!ping_unanswered && now >= ping_sent + limits::kLinkPingInterval) ping_waits = true;
  // An ack that is not yet due leaves if data does: it costs no record of its own then.
  const bool ack_waits = received > told;
  std::size_t front = kNumberChunk * (pong_waits + ping_waits + ack_waits);
  if (max < front) return {};
  const MutableBytes chunk = data_chunk(max - front);
  if (!attached) return {};  // the upper layer gave up the carrier while it was asked
  if (!chunk.empty()) unacked_since = std::min(unacked_since, now);
  const bool send_ack = ack_waits && (!chunk.empty() || ack_due(now));
  front = kNumberChunk * (pong_waits + ping_waits + send_ack);

  std::uint8_t* const start = chunk.empty() ? control.data() : chunk.data() - front;
  std::uint8_t* p = start;
  if (pong_waits) {
    p = store_number(p, ChunkKind::pong, pong_value);
    pong_waits = false;
  }
  if (ping_waits) {
    p = store_number(p, ChunkKind::ping, ++ping_value);
    ping_waits = false;
    ping_unanswered = true;
    ping_sent = now;
  }
  if (send_ack) {
    store_number(p, ChunkKind::ack, received);
    told = received;
    ack_at = kNever;
    ack_is_due = false;
  }
  return {start, front + chunk.size()};
}

// The log lends its slab and forgets at once; release() leaves the bytes as they are until then.
Bytes Link::Impl::pull_bare(std::size_t max) {
  close_sent = closing;  // what is ready now goes, nothing after it
  if (max < kLeastData) return {};
  const MutableBytes data = new_data(max);
  log.release(log.end());
  stats.acked = log.end();
  return data;
}

// A data chunk of at most `max` bytes, header included, in memory with room for the control chunks
// before it; or empty.
MutableBytes Link::Impl::data_chunk(std::size_t max) {
  if (max < limits::kChunkHeader + kLeastData) return {};
  max = std::min(max - limits::kChunkHeader, kDataMax);
  const MutableBytes data = resending() ? logged_data(max) : new_data(max);
  if (data.empty()) return {};
  return {data.data() - limits::kChunkHeader, limits::kChunkHeader + data.size()};
}

// What the last carrier lost, cut anew: pieces were cut to that carrier's room, and small ones
// gather.
MutableBytes Link::Impl::logged_data(std::size_t max) {
  std::uint8_t* const data = resend_buffer.get() + LinkLog::kFront;
  const std::size_t n = log.read(resend_at, {data, max});
  store_header(data - limits::kChunkHeader, {n, ChunkKind::data});
  sent += n;
  stats.resent += n;
  return {data, n};
}

MutableBytes Link::Impl::new_data(std::size_t max) {
  resend_buffer.reset();
  const MutableBytes room = log.room();
  if (room.empty()) return {};
  const MutableBytes out = room.first(std::min(room.size(), max));
  const std::size_t n = upper.produce_link_data(out);
  assert(n <= out.size());
  if (n == 0) {
    log.shrink();
  } else {
    store_header(out.data() - limits::kChunkHeader, {n, ChunkKind::data});
    log.commit(n);
    sent = stats.data_sent = log.end();
  }
  stats.log_bytes = log.memory();
  return out.first(n);
}

Bytes Link::Impl::close_out(std::size_t max) {
  if (!last_data && !resending()) {
    last_data = true;
    if (const MutableBytes chunk = data_chunk(max); !chunk.empty()) return chunk;
  }
  // Where even the text does not fit, the code does: kCloseCodeMax and headers are within 64 bytes.
  if (close_bytes.size() > max) {
    const std::size_t code = as_bytes(close_bytes)[limits::kChunkHeader];
    close_bytes.resize(std::max(limits::kChunkHeader + 1 + code, max));
    store_header(reinterpret_cast<std::uint8_t*>(close_bytes.data()),
                 {close_bytes.size() - limits::kChunkHeader, ChunkKind::close});
    if (close_bytes.size() > max) return {};
  }
  close_sent = true;
  return as_bytes(close_bytes);
}

}  // namespace leat::net
