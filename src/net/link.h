// The link layer (docs/protocol.md §2): chunks between a session and its carrier, and the log of
// data not yet acknowledged, so that a session can outlive its carrier. Sans-I/O.
//
// One Link per session, living across carriers. The handshake (link_handshake.h) runs on each new
// carrier first and yields the offset to go on from; attach() then starts the carrier's epoch.
//
// Outgoing: the driver asks pull(), which makes room in the log, lets the upper layer write its
// frames there (no copy), puts the chunk header before them and returns the bytes to write to the
// carrier. Incoming: feed() parses chunks and hands data to the upper layer in place.
//
// The driver's loop, on one thread:
//   received bytes        -> feed(); not none: close() with a code unless the fault is `closed`
//   carrier has room      -> pull() until it is empty
//   next_deadline() past  -> feed() what the carrier still holds, then on_deadline(); `dead`: cut
//   it carrier ended         -> detach(), and attach() once another has finished its handshake
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/time.h"
#include "mux/memory_share.h"

namespace leat::net {

using SessionId = std::array<std::uint8_t, 16>;

enum class LinkFault : std::uint8_t {
  none,
  bad_chunk,  // unknown kind, wrong length, out of place, or a pong that answers nothing
  bad_ack,    // acknowledges what was never sent on this carrier, or nothing new
  dead,       // nothing received for limits::kLinkDead, or nothing acknowledged for kLinkStuck
  closed,     // the peer sent close; close_code() and close_text()
};
const char* name(LinkFault fault);

// Both run inside feed() and pull(). They may call close() and detach() of the link, nothing else
// that changes it, and must not destroy it.
class LinkUpper {
 public:
  // Received session bytes, in order, exactly once. False: the session is over, feed() stops.
  virtual bool on_link_data(Bytes data) = 0;
  // Writes session bytes into `out`, returns how many; 0: nothing now.
  virtual std::size_t produce_link_data(MutableBytes out) = 0;

 protected:
  ~LinkUpper() = default;
};

struct LinkStats {
  std::uint64_t data_sent = 0, data_received = 0;  // session bytes, all carriers, each once
  std::uint64_t resent = 0;                        // bytes sent again on a later carrier
  std::uint64_t acked = 0;                         // by the peer
  std::size_t log_bytes = 0;                       // memory held by the log
  std::uint32_t carriers = 0;                      // attached so far
  Duration rtt{0};                                 // of the last answered ping
};

enum class Framing : std::uint8_t {
  chunks,
  // No layer at all, for peers that know yamux only: session bytes as they are, nothing is kept,
  // acknowledged, pinged or said at a close, and the session ends with its carrier.
  bare,
};

class Link {
 public:
  // `log_limit`: memory of the log in bytes, counted in slabs of 64 KiB; at least one. `memory`:
  // what it is paid from (link_log.h); outlives the link.
  explicit Link(LinkUpper& upper, Framing framing = Framing::chunks,
                std::size_t log_limit = limits::kLinkLog, mux::MemoryShare* memory = nullptr);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // A carrier is ready; one attached before is fenced. `peer_received`: offset from the peer's
  // handshake; what the log holds from there on is sent again before anything new. False: the
  // session is lost, because the log does not reach back that far, more was never sent, or the link
  // is closed.
  bool attach(std::uint64_t peer_received, Time now);
  // The carrier is gone; the log stays, and received() with it: feed() ignores what a fenced
  // carrier still has to say.
  void detach();
  bool attached() const;

  // After a fault it ignores its input and repeats the fault. `now` never goes back.
  LinkFault feed(Bytes in, Time now);
  // The carrier is deliberately not read: silence up to now says nothing about the peer, and pings
  // go on so that ours says nothing to it. To be called at least once in each second of such a
  // pause.
  void paused(Time now);

  // Bytes to write next, at most `max` (one TLS record; 64 or more always make progress), or empty.
  // They stay valid until the next call of pull() or attach(); the driver writes all of them before
  // either, or gives up the carrier. Control chunks (pong, ping, ack) ride in front of data in the
  // same record.
  Bytes pull(std::size_t max, Time now);
  // A chunk of the link's own or a piece of the log waits. New data is the upper layer's to
  // announce.
  bool wants_pull(Time now) const;

  // Data cannot be pulled because the log is full: the peer must acknowledge first.
  bool log_full() const;

  Time next_deadline() const;  // kNever while detached
  LinkFault on_deadline(Time now);

  // Queues close with a LEAT_ code name, or an empty one for an end that was asked for; nothing
  // follows it and nothing received is read any more. What the upper layer has ready, up to one
  // record, still goes before it. Only the first call counts.
  void close(std::string_view code, std::string_view text);
  // What the peer closed with, after LinkFault::closed. The code is a name of §2.6 or empty, the
  // text printable ASCII.
  std::string_view close_code() const;
  std::string_view close_text() const;

  // Offset of the next data byte expected, for the handshake on the next carrier.
  std::uint64_t received() const;
  const LinkStats& stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace leat::net
