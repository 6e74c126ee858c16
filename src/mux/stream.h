// What a session knows of one stream. Plain data: the rules are in the session_*.cc files, one
// direction each. Lives in a slot of the StreamTable.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "mux/endpoint.h"
#include "mux/intrusive_list.h"
#include "mux/receive_buffer.h"
#include "mux/scheduler.h"
#include "mux/session.h"
#include "mux/stream_state.h"
#include "mux/window.h"

namespace leat::mux {

struct OwingTag;    // streams with control frames to send
struct OpeningTag;  // streams whose SYN the peer has not answered, oldest first
struct HolderTag;   // streams with buffered bytes, see holders.h
struct GrownTag;    // streams with a larger window than the least, see window_shares.h

// Control frames a stream owes, sent in this order.
namespace owed {
inline constexpr std::uint8_t syn = 1;
inline constexpr std::uint8_t ack = 2;
inline constexpr std::uint8_t window = 4;  // how much is worked out when it leaves
inline constexpr std::uint8_t fin = 8;
inline constexpr std::uint8_t rst = 16;  // alone, whatever else was owed
}  // namespace owed

struct Stream : Scheduled,
                Linked<OwingTag>,
                Linked<OpeningTag>,
                Linked<HolderTag>,
                Linked<GrownTag> {
  Stream(StreamHandle self, std::uint32_t stream_id, StreamState initial, std::uint32_t window,
         Time now)
      : handle(self),
        id(stream_id),
        state(initial),
        receive(window, now),
        opened(now),
        taken(now) {}

  StreamHandle handle;
  std::uint32_t id;
  StreamState state;
  std::uint8_t owes = 0;
  bool source_ready = false;  // not since said `not ready`
  bool source_ended = false;
  bool delivering = false;  // inside Sink::deliver
  bool reattached = false;  // … which called attach
  bool resumed = false;     // … or resume
  bool unblocked = false;   // the sink has taken all that it was offered last
  bool end_told = false;    // Sink::end was called
  std::uint8_t holder_class = 0;

  Source* source = nullptr;
  Sink* sink = nullptr;
  SendWindow send;
  ReceiveWindow receive;
  ReceiveBuffer buffer;
  Time opened;  // when open() was called
  Time taken;   // when the sink last took something
};

}  // namespace leat::mux
