// Reads every frame that leaves a session and every frame that reaches one, with a parser and a
// memory of its own, and fails the run on the first that docs/protocol.md §1 does not allow.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/bytes.h"
#include "mux/sim/sim_base.h"

namespace leat::mux::sim {

// Cuts a byte stream into frames. Shares no code with src/mux/frame.
struct Frames {
  struct Frame {
    unsigned type, flags;
    std::uint32_t id, length;
  };
  // Calls back once for each header, and for each piece of payload by way of the count alone.
  void feed(Bytes bytes, const std::function<void(const Frame&)>& on_frame);

  std::string header;
  std::uint64_t payload_left = 0;
};

class Referee {
 public:
  // `refusals`: resets of streams that it has not acknowledged, which may wait at once.
  Referee(bool client, std::uint32_t window, std::size_t refusals, Coverage& coverage)
      : client_(client), window_(window), refusals_(refusals), coverage_(coverage) {}

  // Bytes that pull() gave, and bytes that feed() is about to get.
  void sent(Bytes bytes);
  void received(Bytes bytes);

  // The session says that it has nothing to send: whatever must be answered has been.
  void nothing_left() const;
  // All that was accepted has been acknowledged, once the run is over and everything has been sent.
  void all_acknowledged() const;

  // The peer has said something on a stream of ours.
  bool answered(std::uint32_t id) const;
  // Data may be sent on it: the credit lasts, and its SYN or ACK has left.
  bool may_send(std::uint32_t id) const;
  // What it has received that a guard counts. Whether FIN, ACK and credit count as frames that
  // carry little depends on what the session still knows of the stream: `most_waste` has them all.
  struct Asked {
    std::uint64_t opens = 0, resets = 0, pings = 0, least_waste = 0, most_waste = 0;
  };
  const Asked& asked() const { return asked_; }
  // What it has received ends with a frame.
  bool between_frames() const { return in_.header.empty() && in_.payload_left == 0; }
  // The session has ended: its last frame says so.
  void died() { dead_ = true; }
  bool leaving() const { return go_away_sent_; }
  std::uint32_t highest_theirs() const { return highest_theirs_; }  // 0: none

  // Bytes sent on it since it had no credit.
  std::uint64_t since_credit(std::uint32_t id) const;

 private:
  struct Stream {
    bool ours = false;
    bool opened = false;  // its SYN has passed
    bool acked = false;   // by us, for one of theirs
    bool heard = false;   // something other than their SYN
    bool fin = false;     // ours has left
    bool rst = false;     // … or this
    bool peer_fin = false;
    bool waits = false;  // their SYN for our answer
    bool over = false;   // peer's RST, or both FINs: what still comes is ignored
    std::uint64_t may_send = 256 * 1024;
    std::uint64_t since_credit = 1 << 30;  // bytes sent since there was none
    std::uint64_t may_receive = 256 * 1024;
    StreamState state = StreamState::unknown;
  };

  void on_sent(const Frames::Frame& frame);
  void on_received(const Frames::Frame& frame);
  void move(Stream& stream, StreamEvent event);
  void answer(Stream& stream);

  const bool client_;
  const std::uint64_t window_;
  const std::size_t refusals_;
  Coverage& coverage_;
  Frames out_, in_;
  std::unordered_map<std::uint32_t, Stream> streams_;
  std::unordered_set<std::uint32_t> served_;  // streams with a data frame in this pull
  Asked asked_;
  std::uint32_t highest_own_ = 0, highest_theirs_ = 0;
  bool go_away_sent_ = false;
  bool dead_ = false;
  bool ping_sent_ = false;
  std::uint32_t ping_value_ = 0;
  std::deque<std::uint32_t> pings_;       // received and not yet answered
  std::size_t ponged_ = 0, refused_ = 0;  // since it last received: all of them had been waiting
  std::size_t unanswered_ = 0;  // SYNs received, neither ACK nor RST sent, peer still waits
};

}  // namespace leat::mux::sim
