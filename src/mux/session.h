// The multiplexer core: yamux v0 on the wire (docs/protocol.md §1), no socket, no clock, no thread,
// no lock. Bytes and a time go in; bytes and calls on Sources and Sinks come out.
//
// The driver's loop:
//   received bytes       -> feed()
//   carrier has room     -> pull() until it returns 0
//   next_deadline() past -> on_deadline()
//   fatal from either    -> pull() once more for the go-away, then close the carrier, end_all()
//                           (sinks see reset(session_end)) and destroy the session.
//
// A stream moves through the states of docs/protocol.md §1.3; the table is in stream_state.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/time.h"
#include "mux/abuse_guard.h"
#include "mux/endpoint.h"
#include "mux/fatal.h"
#include "mux/memory_share.h"

namespace leat::mux {

enum class Role : std::uint8_t { client, server };  // agent: odd ids; relay: even ids

// Names a stream of one session. A handle outlives its stream harmlessly: every call with a stale
// one does nothing and says so, even after the slot was used again.
struct StreamHandle {
  std::uint32_t slot = 0xffffffff;
  std::uint32_t generation = 0;

  explicit operator bool() const { return slot != 0xffffffff; }
  friend bool operator==(const StreamHandle&, const StreamHandle&) = default;
};

// Defaults are those of a native session.
struct Config {
  Role role = Role::client;
  std::size_t max_frame = limits::kMaxFrameNative;  // data bytes in a frame we send
  std::uint32_t max_streams = limits::kMaxStreamsNative;
  std::uint32_t initial_window = limits::kInitialWindow;
  std::uint32_t max_window = limits::kMaxWindow;  // growth stops here; at most 128 MiB
  std::size_t receive_budget = limits::kSessionReceiveBudget;
  // What the sessions of this thread draw on together; it outlives them. Null: this session has
  // receive_budget to itself.
  MemoryShare* memory = nullptr;
  std::size_t control_queue = limits::kControlQueue;
  Duration open_timeout = limits::kOpenTimeoutNative;
  // yamux pings, for bare peers only; a native session's link layer pings. 0: never.
  Duration ping_interval{0};
  Duration ping_timeout{0};
  // The session ends when something waits to be sent and is not pulled for so long: the carrier is
  // stuck, even if bytes arrive. For sessions that ping, which keeps time. 0: never; a native
  // session's link outlives its carriers.
  Duration write_timeout{0};
  // First id we open; 0: 1 for a client, 2 for a server.
  std::uint32_t first_id = 0;
  GuardLimits guard = {};

  static Config native(Role role);
  static Config bare(Role role);  // conservative towards any other implementation (§1.6)
};

// go-away codes of the yamux specification.
enum class GoAway : std::uint32_t { normal = 0, protocol_error = 1, internal_error = 2 };

// The session's own events.
class Events {
 public:
  // The peer opened a stream (already acknowledged). Attach endpoints now or later; until then
  // received bytes are buffered against the stream's window.
  virtual void on_open(StreamHandle stream) = 0;
  // The peer takes no new streams (go-away 0). Open ones go on.
  virtual void on_go_away() = 0;
  // pull() may have something where it had not. Called at most once until the next pull() that
  // returns 0; the driver schedules a pull, it must not call it from here.
  virtual void on_want_pull() = 0;
  // wants_feed() is true again.
  virtual void on_want_feed() {}

 protected:
  ~Events() = default;
};

struct Stats {
  std::uint64_t frames_in = 0, frames_out = 0;
  std::uint64_t data_in = 0, data_out = 0;  // payload bytes
  std::uint64_t opened_by_us = 0, opened_by_peer = 0;
  std::uint64_t resets_in = 0, resets_out = 0;
  std::uint64_t refused = 0;  // streams of the peer beyond max_streams
  std::size_t buffered = 0;   // received and not yet delivered, bytes …
  std::size_t held = 0;       // … and the blocks they lie in: what receive_budget limits
  std::size_t grown = 0;      // what all receive windows have beyond initial_window, together
  std::uint32_t streams = 0;  // open now
  Duration ping_rtt{0};       // of the last answered ping; 0 before the first
};

class Session {
 public:
  // `events` outlives the session.
  Session(const Config& config, Events& events, Time now);
  ~Session();  // calls no Sink; use end_all first where they must know
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- towards the carrier ---

  // Takes all of `in`. Any chunking of the peer's bytes gives the same events. With `more`, further
  // bytes are fed at once and this span stays as it is until they have been: the data of frames
  // that follow each other may then reach its sink together, at the latest with the first feed
  // without `more`, whose span may be empty.
  Fatal feed(Bytes in, Time now, bool more = false);
  // False while so much lies undelivered that the driver should leave bytes in the carrier (§1.9);
  // Events::on_want_feed follows. Who feeds all the same loses streams to reset(pressure), not
  // memory.
  bool wants_feed() const;
  // Writes whole frames, as many as fit, and returns the bytes used; 0 when there is nothing to
  // send. A frame is cut to the room there is, so any `out` of at least 13 bytes makes progress on
  // data; of at least 12 on control. Within one call at most one data frame per stream is written.
  // When less than a quarter of `out` (or of max_frame, if that is less) is left, only streams that
  // were idle (§1.8) are asked: bulk data is not cut into slivers. While data waits, control frames
  // take at most half of `out`.
  std::size_t pull(MutableBytes out, Time now);
  bool wants_pull() const;

  Time next_deadline() const;  // kNever if none
  Fatal on_deadline(Time now);

  // Ends every stream with reset(session_end); the session then only refuses.
  void end_all();
  // Queues go-away. normal: no new streams either way, the open ones go on (bare peers only: native
  // sessions drain through the control stream).
  void go_away(GoAway code);
  // Queues a ping unless one is outstanding; the answer updates Stats::ping_rtt.
  void ping(Time now);
  // The round trip of the carrier as the driver measures it, whenever it does: receive windows grow
  // with it (docs/flow_control.md). A session that pings (ping_interval) measures it by itself.
  void set_rtt(Duration measured);

  // --- towards the streams' owners ---

  // Opens a stream: nullopt at max_streams, after go-away or when ids are used up. SYN leaves with
  // the next pull; nothing waits for its acknowledgement, which must come within open_timeout all
  // the same.
  std::optional<StreamHandle> open(Time now);
  // Sets the endpoints (either may be null) and wakes both directions. False for a stale handle.
  bool attach(StreamHandle stream, Source* source, Sink* sink);
  // Takes the endpoints off without touching the stream: bytes go to the buffer again. Used to hand
  // a stream from one owner to the next, e.g. from the reader of OpenStream to the splice.
  bool detach(StreamHandle stream);
  // The source may have bytes, or its end, again.
  bool wake(StreamHandle stream);
  // The sink has room again: delivers what is buffered.
  bool resume(StreamHandle stream);
  // RST; the stream and its buffers are gone at once, no callback follows.
  bool reset(StreamHandle stream);

  bool alive(StreamHandle stream) const;
  // yamux id on the wire, for logs; 0 if stale.
  std::uint32_t id(StreamHandle stream) const;
  // Received and not yet taken by the sink; 0 if stale.
  std::size_t buffered(StreamHandle stream) const;

  // The target of its receive window, bytes; 0 if stale.
  std::uint32_t window(StreamHandle stream) const;

  const Stats& stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace leat::mux
