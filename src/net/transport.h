// A byte pipe to a peer: a plain socket, TLS over one, later a WebSocket over either. Visitors,
// services and carriers are all reached through this. Non-blocking; the owner is told when to try
// again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/address.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

namespace leat::net {

enum class IoStatus : std::uint8_t {
  ok,           // `n` bytes moved (n > 0)
  would_block,  // nothing moved; on_transport follows when that changes
  end,     // read only: the peer finished cleanly (FIN after TLS close_notify, or FIN on plain TCP)
  failed,  // reset, cut short (TLS without close_notify), or a protocol fault; see error()
};

struct IoResult {
  IoStatus status;
  std::size_t n = 0;
};

class Shard;

class TransportOwner {
 public:
  // Reading, writing or both may make progress now, the handshake has ended, or the transport has
  // failed. Edge-triggered: no further call until the owner has met would_block, a short read or a
  // flush() that said false; only the peer's FIN or RST may be told besides. The owner may destroy
  // the transport through Shard::dispose only.
  virtual void on_transport() = 0;
  // A transport inside another session's stream asks for a record now, since the session outside
  // is about to send: what write() takes here leaves at once, and nothing could be framed later.
  // Called inside that session's pull(); may say nothing.
  virtual void on_room() {}

 protected:
  ~TransportOwner() = default;
};

struct IoCounters {
  std::uint64_t receives = 0, received = 0;  // system calls that moved bytes, and the bytes
  std::uint64_t sends = 0, sent = 0;
};

// Destroying a transport that has not finished() cuts the connection: the peer sees a failure.
class Transport {
 public:
  virtual ~Transport() = default;

  // What happened before is not told again: a new owner tries read() and write().
  void set_owner(TransportOwner* owner) { owner_ = owner; }

  // False until a handshake (TLS) is complete; read and write say would_block before.
  virtual bool established() const = 0;

  // One read may take several records; it goes on until `into` is full or the source is dry.
  virtual IoResult read(MutableBytes into) = 0;
  // Whether read() may give something other than would_block: data in rings counts.
  virtual bool readable() const = 0;

  // Takes a prefix; less than all only when the kernel takes no more. A plain socket writes
  // through, but for the incomplete last segment of a large write; TLS encrypts into its ring. Both
  // go out with flush(), when there is more, or after the batch.
  virtual IoResult write(Bytes from) = 0;
  // The same for several pieces (at least one) in one system call, where that saves any: a prefix
  // of them all, or only of the first.
  virtual IoResult write_pieces(std::span<const Bytes> pieces) { return write(pieces.front()); }
  // The write that makes best use of a record; room is counted in these.
  virtual std::size_t best_write() const { return limits::kTlsRecord; }
  // Bytes that write() would take without sending: for TLS in whole records of 16 KiB, and exactly
  // (but for a peer that asked for shorter ones). For a plain socket an estimate, 0 once it has met
  // EAGAIN.
  virtual std::size_t write_room() const = 0;
  // With more to write at once and no room for it: hands what is in the ring to the kernel, which
  // may keep the last, incomplete segment until flush(). True: there is room for a record. False
  // also after a failure, which write() then tells.
  virtual bool make_room() { return write_room() > 0; }
  // Bytes in the ring, as they will leave.
  virtual std::size_t unsent() const { return 0; }
  // Hands what is in the ring to the kernel. True: the ring is empty, be it because the transport
  // has failed and dropped it. False: on_transport follows.
  virtual bool flush() = 0;

  // After everything written: close_notify and FIN, as the kernel takes them. Reading goes on. What
  // has not been sent when the transport is destroyed is lost: keep it until flush() says true.
  virtual void finish() = 0;
  // Gives up at once: RST and no close_notify, which the peer cannot take for an end. The
  // descriptor is closed; everything says failed from here on.
  virtual void abort() = 0;

  // The peer has reset the connection. It is told of even while nothing is read or written.
  virtual bool broken() const = 0;

  virtual int fd() const = 0;                 // -1 after abort()
  virtual std::string peer() const = 0;       // "192.0.2.1:5000", for logs and X-Forwarded-For
  virtual std::string peer_host() const = 0;  // "192.0.2.1"
  // A proxy in between has said whose connection it is: what peer() says from here on.
  virtual void speak_for(const HostPort&) {}
  // What failed; only after IoStatus::failed, or after IoStatus::end of a WebSocket: the code that
  // the peer's close frame gave as its reason, if it was one.
  virtual Error error() const = 0;
  virtual const IoCounters& counters() const { return counters_; }

  // --- from one shard to another (docs/adr/0005-shards.md) ---

  // Off its shard: no owner, nothing deferred, not watched; what the rings hold stays in them. From
  // here on any thread may join() it to its shard, or destroy it. False: it cannot move.
  virtual bool leave() { return false; }
  // On the thread of `shard`, with an owner. False: the kernel refused to watch the descriptor.
  // What is ready is reported anew.
  virtual bool join(Shard&) { return false; }

  // --- TLS only; the defaults are those of a plain socket ---
  virtual bool secure() const { return false; }
  virtual std::string alpn() const { return {}; }
  virtual std::string sni() const { return {}; }
  // RFC 8446 §7.5 exporter, 32 bytes, label "EXPORTER-leat-open", no context. Empty on plain.
  virtual std::string channel_binding() const { return {}; }

 protected:
  TransportOwner* owner_ = nullptr;
  IoCounters counters_;
};

}  // namespace leat::net
