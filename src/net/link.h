// The link layer (docs/protocol.md §2): chunks between a session and its carrier, and the log of data not
// yet acknowledged, so that a session can outlive its carrier. Sans-I/O.
//
// One Link per session, living across carriers. The handshake (link_handshake.h) runs on each new carrier
// first and yields the offset to go on from; attach() then starts the carrier's epoch.
//
// Outgoing: the driver asks pull(), which makes room in the log, lets the upper layer write its frames
// there (no copy), puts the chunk header before them and returns the bytes to write to the carrier.
// Incoming: feed() parses chunks and hands data to the upper layer in place.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/time.h"

namespace leat::net {

using SessionId = std::array<std::uint8_t, 16>;

enum class LinkFault : std::uint8_t {
  none,
  bad_chunk,     // unknown kind, wrong length, handshake kinds out of place
  bad_ack,       // acknowledges what was never sent
  dead,          // nothing received for limits::kLinkDead
  closed,        // the peer sent close; close_code() and close_text()
};
const char* name(LinkFault fault);

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
  std::uint64_t data_sent = 0, data_received = 0;  // session bytes, all carriers
  std::uint64_t acked = 0;                         // by the peer
  std::size_t log_bytes = 0;                       // memory held by the log
  std::uint32_t carriers = 0;                      // attached so far
  Duration rtt{0};                                 // of the last answered ping
};

class Link {
 public:
  explicit Link(LinkUpper& upper, std::size_t log_limit = limits::kLinkLog);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // A carrier is ready. `peer_received`: offset from the peer's handshake; what the log holds from there
  // on is sent again before anything new. False: the log does not reach back that far.
  bool attach(std::uint64_t peer_received, Time now);
  // The carrier is gone; the log stays.
  void detach();
  bool attached() const;

  LinkFault feed(Bytes in, Time now);

  // Bytes to write next, at most `max` (one TLS record), or empty. They stay valid until the next call of
  // pull(); the driver writes all of them or calls no pull() before it has (see kept()). Control chunks
  // (ack, ping, close) ride in front of data in the same record.
  Bytes pull(std::size_t max, Time now);
  bool wants_pull(Time now) const;

  // Data cannot be pulled because the log is full: the peer must acknowledge first.
  bool log_full() const;

  Time next_deadline() const;
  LinkFault on_deadline(Time now);

  // Queues close with a LEAT_ code name; nothing follows it.
  void close(std::string_view code, std::string_view text);
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
