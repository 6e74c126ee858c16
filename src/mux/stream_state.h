// The state machine of a stream, as a table. The drawing is docs/protocol.md §1.3, the table §1.4,
// and tests/mux/state_table_test.cc reads that page and compares.
//
//                 send SYN                    recv SYN
//                    │                           │
//                 opening ──── any answer ────▶ open ─────────────┐
//                    │  └───────── recv FIN ──┐  │ recv FIN       │ send FIN
//           send FIN │                        ▼  ▼                ▼
//            opening_finished            peer_finished        finished
//                    │  └── any answer ─────────┼──────────────▶  │
//           recv FIN │                 send FIN │        recv FIN │
//                    └──────────────▶ closed ◀──┴─────────────────┘      RST: closed, from anywhere
#pragma once

#include <cstdint>
#include <optional>

namespace leat::mux {

enum class StreamState : std::uint8_t {
  unknown,           // no stream has this id
  opening,           // our SYN is out or about to leave, nothing heard yet
  opening_finished,  // likewise, and our FIN
  open,
  finished,       // our FIN is out, the peer may send
  peer_finished,  // the peer's FIN is in, we may send
  closed,         // nothing more on the wire
};
inline constexpr int kStreamStates = 7;

// Parts of a frame, received or sent.
enum class StreamEvent : std::uint8_t {
  recv_syn,
  recv_ack,
  recv_data,    // a data frame without RST, whatever its length
  recv_window,  // a window update without RST, whatever its length
  recv_fin,
  recv_rst,
  send_syn,
  send_fin,
  send_rst,
};
inline constexpr int kStreamEvents = 9;

// nullopt: the peer broke the protocol (recv_…), or we are about to (send_…). A received event that
// leaves `unknown` unchanged is to be ignored.
std::optional<StreamState> next(StreamState state, StreamEvent event);

const char* name(StreamState state);
const char* name(StreamEvent event);

// Whether the peer may still send data.
inline bool may_receive(StreamState s) {
  return s == StreamState::opening || s == StreamState::opening_finished ||
         s == StreamState::open || s == StreamState::finished;
}

// Whether we may still send data.
inline bool may_send(StreamState s) {
  return s == StreamState::opening || s == StreamState::open || s == StreamState::peer_finished;
}

inline bool unanswered(StreamState s) {
  return s == StreamState::opening || s == StreamState::opening_finished;
}

}  // namespace leat::mux
