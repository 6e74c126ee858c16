// One sealed session at the agent, from the first byte of its pipe to its end (docs/protocol.md
// §7.2, §8.2): the handshake, the record that proves who is there, the link inside, and the streams
// the device opens.
//
//   hello ──▶ confirming ──▶ session ──▶ over
//     └───────────┴──────────────────────▲
//
// Until the first record has been opened nothing is acted on: the hello may be a replay.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/devices.h"
#include "agent/stream.h"
#include "agent/stream_table.h"
#include "crypto/handshake.h"
#include "crypto/unit.h"
#include "net/session_driver.h"
#include "net/shard.h"
#include "net/transport.h"
#include "sealed/opening.h"
#include "sealed/sealed_transport.h"

namespace leat::proto {
class SealedHello;
}

namespace leat::agent {

class SealedGate;

class SealedPeer final : public StreamHost,
                         private net::TransportOwner,
                         private net::SessionDriver::Owner {
 public:
  class Owner {
   public:
    // Called once, be it from inside start(); give the peer to Shard::dispose.
    virtual void on_peer_end(SealedPeer& peer) = 0;
    // Whether the pipe has gone with all that it ran over: nobody did that to this peer.
    virtual bool carrier_gone() const { return false; }

   protected:
    ~Owner() = default;
  };

  // `tunnel`: the id it came to; empty for a direct connection. The gate outlives the peer.
  SealedPeer(SealedGate& gate, std::unique_ptr<net::Transport> pipe, std::string tunnel,
             Owner& owner);
  ~SealedPeer();

  void start();
  // Instead of start(): there are as many sessions as may be, which it is told.
  void turn_away();
  // The list of devices has changed: ends the session of one that is not in it any more.
  void check();
  // The agent's key is another than when this began: ends what was begun with the old one.
  void key_is_gone();
  // Takes no further stream, and closes with DRAINING when the last has ended.
  void drain();
  // Others want its place among the handshakes.
  void make_way();
  bool direct() const { return tunnel_.empty(); }

  bool shaking() const { return shaking_; }
  bool confirmed() const { return device_ && state_ != State::over; }
  std::optional<crypto::X25519Key> device() const { return confirmed() ? device_ : std::nullopt; }
  const std::string& peer_host() const { return peer_host_; }

 private:
  enum class State : std::uint8_t { hello, confirming, session, over };

  // StreamHost
  net::SessionDriver& driver() override { return *driver_; }
  std::shared_ptr<Egress> find(std::string_view tunnel) override;
  void retire(Stream& stream) override;
  void replace(Stream& from, std::unique_ptr<Stream> to) override;
  bool sealed() const override { return true; }
  std::string visitor() const override { return peer_; }
  std::optional<Code> admit(const Egress& egress, http::Request& request,
                            std::string& request_id) override;

  void on_transport() override;
  void discard();

  // The handshake: sealed_handshake.cc
  void read_hello();
  void answer(const crypto::Unit& unit);
  std::optional<Code> choose(crypto::Handshake& handshake, const proto::SealedHello& hello,
                             crypto::Pattern pattern);
  void reply(crypto::Handshake handshake, crypto::Suite suite, Bytes surplus);
  std::string reply_payload(crypto::Suite suite) const;
  void refuse(Code code);
  void say_no(Code code);
  void read_opening();
  Result<void> confirm();
  void begin_session(Bytes surplus);

  void on_stream(mux::StreamHandle stream) override;
  void on_ended(const Error& why) override;
  void give_up(const Error& why);
  void end(const Error& why);
  void end_now(const Error& why);
  void finish_handshake();
  void over();

  SealedGate& gate_;
  Owner& owner_;
  const std::string tunnel_, peer_, peer_host_;
  State state_ = State::hello;
  std::unique_ptr<net::Transport> pipe_;              // until the handshake is done …
  std::unique_ptr<sealed::SealedTransport> carrier_;  // … then until the session has it
  std::string held_;                                  // of the hello
  std::string name_, pairing_, meant_, ephemeral_;    // what the hello says …
  Scope scope_;                                       // … and what it would get
  sealed::OpenReader opening_;
  std::optional<crypto::X25519Key> device_;  // proved
  bool shaking_ = true;                      // one of the handshakes
  bool turn_away_ = false;
  bool draining_ = false;
  bool ending_ = false;  // refused: what is queued leaves, then it is over
  std::size_t discarded_ = 0;
  net::Timer deadline_;
  std::unique_ptr<net::SessionDriver> driver_;
  StreamTable streams_;  // after the driver: they detach from it when they go
};

}  // namespace leat::agent
