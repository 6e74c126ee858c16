// Joins a transport and a stream: bytes of the socket go straight into outgoing frames, received
// frames straight to the socket. Half-close passes in both directions; a cut on one side is a reset
// on the other, never an end.
//
// A peer that resets has often said something before: a service that refuses a request answers and
// closes without reading the rest. What it sent is still read and passed on, and only then, or
// after a grace, is the stream reset; what it can no longer take is thrown away.
#pragma once

#include <memory>
#include <string>

#include "mux/endpoint.h"
#include "net/meter.h"
#include "net/session_driver.h"
#include "net/shard.h"
#include "net/transport.h"

namespace leat::net {

class Splice final : private TransportOwner,
                     private mux::Source,
                     private mux::Sink,
                     private Deferred {
 public:
  class Owner {
   public:
    // Both directions are over, or one broke (`clean` false). Called once, never from inside
    // start(); give the splice to Shard::dispose.
    virtual void on_splice_end(Splice& splice, bool clean) = 0;

   protected:
    ~Owner() = default;
  };

  // `prefix` is sent on the stream before the socket's bytes.
  Splice(SessionDriver& driver, mux::StreamHandle stream, std::unique_ptr<Transport> transport,
         std::string prefix, Owner& owner);
  ~Splice() override;

  // Takes both directions of the stream …
  void start();
  // … or sends only, while somebody else still reads from the stream; start() follows.
  void start_sending(mux::Sink& receiver);

  // Resets the stream and aborts the socket; on_splice_end does not follow.
  void cancel();
  // The same, and on_splice_end does follow.
  void cut() { fail(); }
  // Before start(): what moves is limited by `meter`, which outlives the splice; poke() when more
  // may.
  void set_meter(Meter* meter) { meter_ = meter; }
  void poke() { on_transport(); }

  Transport& transport() { return *transport_; }
  std::uint64_t bytes_sent() const { return sent_; }          // into the stream
  std::uint64_t bytes_received() const { return received_; }  // from the stream

 private:
  void on_transport() override;
  mux::Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override { return deliver_pieces({&data, 1}); }
  std::size_t deliver_pieces(std::span<const Bytes> pieces) override;
  void end() override;
  void reset(mux::ResetReason reason) override;
  void on_deferred() override;

  void finish_if_done();
  void on_broken();
  void fail();

  SessionDriver& driver_;
  mux::StreamHandle stream_;
  std::unique_ptr<Transport> transport_;
  std::string prefix_;
  std::size_t prefix_sent_ = 0;
  Owner& owner_;
  Meter* meter_ = nullptr;
  std::uint64_t sent_ = 0, received_ = 0;
  bool source_ended_ = false;  // the socket's FIN went into the stream
  bool sink_ended_ = false;    // the stream's FIN went to the socket
  Timer grace_;                // of a broken socket
  bool broken_ = false;
  bool over_ = false;
  bool clean_ = true;
};

}  // namespace leat::net
