// The state behind a Link, divided by direction: link_send.cc has the way out, link_receive.cc the
// way in, link.cc the carrier's life and its deadlines. Nobody else includes this.
#pragma once

#include <array>
#include <string>

#include "net/link.h"
#include "net/link_chunk.h"
#include "net/link_log.h"

namespace leat::net {

struct Link::Impl {
  Impl(LinkUpper& u, Framing f, std::size_t log_limit, mux::MemoryShare* memory)
      : upper(u), bare(f == Framing::bare), log(log_limit, memory) {}

  // link_send.cc
  Bytes pull(std::size_t max, Time now);
  MutableBytes data_chunk(std::size_t max);
  MutableBytes new_data(std::size_t max);
  MutableBytes logged_data(std::size_t max);
  Bytes close_out(std::size_t max);
  Bytes pull_bare(std::size_t max);
  bool resending() const { return sent < log.end(); }

  // link_receive.cc
  LinkFault feed(Bytes in, Time now);
  bool take_header(Bytes& in);
  void take_data(Bytes& in, Time now);
  LinkFault take_control(Bytes& in, Time now);
  LinkFault on_number(std::uint64_t value, Time now);

  // link.cc
  bool ack_due(Time now) const;
  Time dead_at() const;

  LinkUpper& upper;
  const bool bare;
  LinkLog log;
  LinkStats stats;
  bool attached = false;
  LinkFault fault = LinkFault::none;

  // --- out ---
  std::uint64_t sent = 0;     // offset reached on this carrier; below log.end() while resending
  LinkLog::Cursor resend_at;  // where in the log `sent` is
  std::unique_ptr<std::uint8_t[]> resend_buffer;
  std::array<std::uint8_t, LinkLog::kFront> control;  // chunks that leave without data
  bool pong_waits = false;
  std::uint64_t pong_value = 0;
  bool ping_waits = false;
  bool ping_unanswered = false;  // sent
  std::uint64_t ping_value = 0;  // of the last one sent
  std::uint64_t pong_seen = 0;   // the last one answered
  Time ping_sent{};              // long ago
  Time unacked_since = kNever;   // nothing of what was sent was acknowledged; kNever: all of it is
  bool closing = false;          // close() was called
  bool last_data = false;        // … and the upper layer has been asked once more
  bool close_sent = false;
  std::string close_bytes;

  // --- in ---
  bool over = false;  // the upper layer wants no more
  std::array<std::uint8_t, limits::kChunkHeader> header;
  std::size_t header_size = 0;               // bytes of it that have come; complete: inside a chunk
  std::size_t left = 0;                      // of the chunk's body
  std::array<std::uint8_t, kCloseMax> body;  // of a control chunk
  std::uint64_t received = 0;
  std::uint64_t told = 0;  // what the peer knows of `received`
  Time ack_at = kNever;  // the latest time for an ack; kNever: nothing to acknowledge, or it is due
  bool ack_is_due = false;
  Time last_received = kNever;
  std::string close_code, close_text;
};

}  // namespace leat::net
