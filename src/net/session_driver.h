// Binds a mux session to its link and to the carrier of the moment: reads, feeds, pulls, writes,
// and keeps the deadlines. All policy is elsewhere: what a stream carries is its owner's affair,
// when a session begins and ends its owner's.
//
//   received: Transport::read -> Link::feed -> Session::feed -> Sink::deliver
//   sent:     Session::pull -> Source::produce, into Link's log -> Transport::write -> flush
//
// Writing happens once per batch of events (Deferred), however many streams woke the session in it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "mux/session.h"
#include "net/link.h"
#include "net/send_governor.h"
#include "net/shard.h"
#include "net/tcp_path.h"
#include "net/transport.h"

namespace leat::net {

class SessionDriver final : private TransportOwner,
                            private LinkUpper,
                            private mux::Events,
                            private Deferred {
 public:
  class Owner {
   public:
    // The peer opened a stream: attach to it in driver.mux().
    virtual void on_stream(mux::StreamHandle stream) = 0;
    // The peer takes no new streams (a bare one: native agents leave through the control stream).
    virtual void on_go_away() {}
    // The session is over and every stream has been reset. Called once; give the driver to
    // Shard::dispose. CARRIER_CUT, TIMEOUT, PROTOCOL, or what the peer's close said.
    virtual void on_ended(const Error& why) = 0;

   protected:
    ~Owner() = default;
  };

  // `carrier` has finished its handshakes (TLS and the link's). Framing::bare goes with
  // mux::Config::bare.
  // `govern` false: bytes on the wire are bounded by nothing but the kernel's congestion control.
  SessionDriver(Shard& shard, const mux::Config& config, Owner& owner,
                std::unique_ptr<Transport> carrier, Framing framing = Framing::chunks,
                bool govern = true);
  ~SessionDriver() override;

  // Begins to read and write. `surplus`: bytes that came behind the link's handshake.
  void start(Bytes surplus);

  mux::Session& mux() { return mux_; }
  Shard& shard() { return shard_; }
  const Transport& carrier() const { return *carrier_; }
  Time heard() const { return heard_; }  // when the carrier last brought something
  const LinkStats& link_stats() const { return link_.stats(); }
  const SendGovernor& governor() const { return governor_; }
  bool ended() const { return ended_; }

  // Tells the peer why (a bare one by go-away), once what is queued has been sent, and ends.
  // on_ended follows, at the latest after two seconds.
  void close(Code code, std::string_view text);

 private:
  void on_transport() override;
  void on_room() override;
  bool on_link_data(Bytes data) override;
  std::size_t produce_link_data(MutableBytes out) override;
  void on_open(mux::StreamHandle stream) override;
  void on_go_away() override;
  void on_want_pull() override;
  void on_want_feed() override;
  void on_deferred() override;

  void read();
  void feed(Bytes received);
  void write();
  bool fill(std::size_t& moved);
  std::size_t may_send();
  void sample_path();
  void on_deadline();
  void arm();
  void end(Error why);

  Shard& shard_;
  Owner& owner_;
  std::unique_ptr<Transport> carrier_;
  const Framing framing_;
  const std::size_t record_;  // bytes that make a full record of the carrier
  Link link_;
  mux::Session mux_;
  mux::Fatal fatal_ = mux::Fatal::none;
  TcpPath path_;
  SendGovernor governor_;
  Timer deadline_;
  Timer pace_;  // the governor's bound is met: look again soon
  Timer closing_timer_;
  Bytes pending_;                 // pulled, and not yet taken by the carrier
  Time sampled_{};                // of the clock, long ago: asks at once
  std::size_t since_sample_ = 0;  // what the kernel did not know of then, and all that came since
  bool asked_bbr_ = false;        // once: the kernel's answer stays the same
  bool held_back_ = true;         // since then, there was always more to send than was allowed
  bool governed_ = true;          // false: not TCP, or switched off
  bool read_more_ = false;        // stopped reading by the batch's quota, not by would_block
  Time heard_ = kNever;
  bool closing_ = false;
  bool ended_ = false;
  Error close_reason_{Code::CARRIER_CUT, {}};
};

}  // namespace leat::net
