// An agent of the real parts below it (TLS, the link's handshake, a session as mux client,
// control::Client) that does on its streams what the test says, and breaks the rules where told to.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/signature.h"
#include "control/client.h"
#include "control/wire.h"
#include "mux/session.h"
#include "net/link_handshake.h"
#include "net/loop.h"
#include "net/session_driver.h"
#include "net/socket.h"
#include "net/tls.h"

namespace leat::relay {

class FakeAgent;

// A stream the relay has opened. Replies nothing of itself.
class Served final : private mux::Source, private mux::Sink {
 public:
  Served(FakeAgent& agent, mux::StreamHandle stream);

  Served& send(std::string_view text);
  Served& reply() { return send(std::string_view("\0", 1)); }  // an empty OpenReply: connected
  Served& answer(std::string_view http) { return reply().send(http).finish(); }
  Served& finish();
  void cut();
  // From here on it is told nothing, and what comes waits in the session.
  void stop_reading();

  bool opened() const { return opened_; }
  const std::string& tunnel() const { return tunnel_; }
  const std::string& visitor() const { return visitor_; }  // as the relay says
  const std::string& text() const { return text_; }        // behind OpenStream
  bool has(std::string_view part) const { return text_.find(part) != text_.npos; }
  bool ended() const { return ended_; }
  bool was_reset() const { return reset_; }
  std::size_t unsent() const { return to_send_.size() - sent_; }

 private:
  mux::Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override;
  void end() override;
  void reset(mux::ResetReason reason) override;

  FakeAgent& agent_;
  mux::StreamHandle stream_;
  control::MessageReader reader_;
  std::string tunnel_, visitor_, text_, to_send_;
  std::size_t sent_ = 0;
  bool opened_ = false, finished_ = false, ended_ = false, reset_ = false;
};

class FakeAgent final : private net::TransportOwner,
                        private net::SessionDriver::Owner,
                        private control::ClientEvents,
                        private mux::Source,
                        private mux::Sink {
 public:
  struct Settings {
    HostPort relay;
    const net::TlsContext& tls;
    const SigningKey& identity;
    control::Credential token;
    std::vector<control::TunnelRequest> tunnels;
    bool greets = true;  // false: after the handshake it says nothing
  };
  FakeAgent(net::Loop& loop, Settings settings);
  ~FakeAgent();

  // Called for each stream once its OpenStream is there, and whenever more has come.
  std::function<void(Served&)> on_served;
  std::vector<std::unique_ptr<Served>> streams;  // all so far

  std::string credential_name;  // of Welcome
  Secret issued;                // … for a join code
  std::optional<Error> noticed;
  std::vector<std::string> taken;  // tunnels that the relay has taken away

  bool in_session() const { return driver_ != nullptr; }
  bool settled() const { return answers_ == tunnels_; }  // each Bind has its Bound
  const std::map<std::size_t, control::TunnelBound>& bound() const { return bound_; }
  const std::map<std::size_t, Error>& refused() const { return refused_; }
  const std::map<std::string, std::uint32_t>& shared() const { return shared_; }
  bool ended() const { return ended_.has_value(); }
  const Error& why() const { return *ended_; }  // what the session, or its control stream, said

  net::SessionDriver& driver() { return *driver_; }
  net::Loop& loop() { return loop_; }
  control::Client& control() { return client_; }
  void wake() { driver_->mux().wake(control_); }
  // Onto the control stream as it is, behind what the client has to say.
  void say(std::string_view bytes);
  void stop_reading_control() { reads_control_ = false; }
  std::size_t unsaid() const { return out_.size(); }
  // As if the network were gone: nothing is read or sent any more, and no FIN tells the relay.
  void vanish();

 private:
  friend class Served;

  void on_transport() override;
  void on_stream(mux::StreamHandle stream) override;
  void on_ended(const Error& why) override;
  void on_welcome(const std::string&, const std::string& name) override { credential_name = name; }
  void on_credential(const Secret& made) override { issued = made; }
  void on_bound(std::size_t index, const control::TunnelBound& tunnel) override;
  void on_bind_failed(std::size_t index, const Error& error) override;
  void on_drain(const std::string&, std::uint32_t, const std::vector<std::string>&) override {}
  void on_notice(const Error& notice) override {
    noticed = notice;
    loop_.poke();
  }
  void on_taken(const std::string& tunnel, const Error&) override {
    taken.push_back(tunnel);
    loop_.poke();
  }
  void on_shared(const std::string& tunnel, std::uint32_t agents) override {
    shared_[tunnel] = agents;
    loop_.poke();
  }
  mux::Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override;
  void end() override {}
  void reset(mux::ResetReason) override {}
  void lost(const Error& why);

  net::Loop& loop_;
  const net::TlsContext& tls_;
  const SigningKey& identity_;
  const std::string host_;
  const bool greets_;
  const std::size_t tunnels_;
  control::Client client_;
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<net::Transport> transport_;
  std::optional<net::ClientHandshake> handshake_;
  mux::StreamHandle control_;
  std::string out_;
  bool reads_control_ = true;
  std::size_t answers_ = 0;
  std::map<std::size_t, control::TunnelBound> bound_;
  std::map<std::size_t, Error> refused_;
  std::map<std::string, std::uint32_t> shared_;
  std::optional<Error> ended_;
  net::Fd ghost_;
  std::unique_ptr<net::SessionDriver> driver_;
};

}  // namespace leat::relay
