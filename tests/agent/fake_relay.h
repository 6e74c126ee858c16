// A relay of the real parts below it: TLS over loopback, the link's handshake, a session as mux
// server and control::Server. What a visitor does is written by the test, byte for byte.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "control/server.h"
#include "control/wire.h"
#include "mux/session.h"
#include "net/link_handshake.h"
#include "net/loop.h"
#include "net/session_driver.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/tls_fixture.h"

namespace leat::agent {

// One stream to the agent: sends what it is told, collects what comes, and splits OpenReply off.
class Visit final : private mux::Source, private mux::Sink {
 public:
  Visit(net::Loop& loop, net::SessionDriver& driver, const std::string& tunnel,
        control::TunnelKind kind, std::string visitor_host, const std::string& visitor);

  Visit& send(std::string_view text);
  Visit& finish();
  void reset();
  void pause(bool paused);  // takes nothing, as a visitor that does not read

  bool replied() const { return replied_; }
  const std::string& failure() const { return failure_; }  // the code in OpenReply
  const std::string& text() const { return text_; }        // behind it
  bool has(std::string_view part) const { return text_.find(part) != text_.npos; }
  bool ended() const { return ended_; }
  bool was_reset() const { return reset_; }
  bool over() const { return ended_ || reset_; }

 private:
  mux::Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override;
  void end() override;
  void reset(mux::ResetReason reason) override;

  net::Loop& loop_;
  net::SessionDriver& driver_;
  mux::StreamHandle stream_;
  std::string to_send_;
  bool finished_ = false, paused_ = false;
  control::MessageReader reader_;
  bool replied_ = false, ended_ = false, reset_ = false;
  std::string failure_, text_;
};

class FakeRelay;

// One connection of an agent.
class RelaySession final : private net::TransportOwner,
                           private net::SessionDriver::Owner,
                           private control::ServerEvents,
                           private mux::Source,
                           private mux::Sink {
 public:
  RelaySession(FakeRelay& relay, std::unique_ptr<net::Transport> transport);
  ~RelaySession();

  bool welcomed() const { return welcomed_; }
  bool ended() const { return ended_.has_value(); }
  const Error& why() const { return *ended_; }
  const PublicKey& identity() const { return identity_; }
  const control::HelloInfo& hello() const { return hello_; }
  std::size_t bound() const { return bound_; }
  bool left() const { return left_; }
  net::SessionDriver& driver() { return *driver_; }

  void close(Code code) { driver_->close(code, "told so by the test"); }
  void drain(std::uint32_t retry_after_ms);
  void notice(const Error& error, const std::string& lost = {});
  void shared(const std::string& tunnel, std::uint32_t agents);
  std::map<std::string, std::string> health;  // as reported: a code, or empty for healthy
  std::vector<std::string> unbound;
  void cut();  // the carrier, without a word

 private:
  void on_transport() override;
  void on_stream(mux::StreamHandle stream) override;
  void on_ended(const Error& why) override;
  void on_hello(control::HelloInfo hello) override;
  void on_bind(std::uint32_t request, const control::TunnelRequest& tunnel) override;
  void on_unbind(const std::string& tunnel) override;
  void on_health(const std::string& tunnel, const Error* failure) override;
  void on_leave() override;
  mux::Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override;
  void end() override {}
  void reset(mux::ResetReason) override {}
  void wake();

  FakeRelay& relay_;
  std::unique_ptr<net::Transport> transport_;
  std::optional<net::ServerHandshake> handshake_;
  PublicKey identity_{};
  std::optional<control::Server> control_;
  control::HelloInfo hello_;
  mux::StreamHandle stream_;
  std::string out_;
  bool welcomed_ = false;
  std::size_t bound_ = 0;
  bool left_ = false;
  net::Timer part_;  // left: the session ends when its streams have
  std::optional<Error> ended_;
  std::unique_ptr<net::SessionDriver> driver_;
};

class FakeRelay {
 public:
  static constexpr char kToken[] = "leat_test_token";

  explicit FakeRelay(net::Loop& loop);

  HostPort address() const { return listener_->address(); }
  std::string pin() const { return identity_.pin(); }
  net::Loop& loop() { return loop_; }
  const net::TlsContext& tls() const { return tls_; }

  void stop_listening() { listener_.reset(); }
  void listen_again(const HostPort& address);

  // Of all connections so far, the newest last.
  std::vector<std::unique_ptr<RelaySession>> sessions;
  RelaySession& session() { return *sessions.back(); }
  std::size_t welcomed() const;

  // Answers to Hello and Bind; the defaults accept kToken and everything.
  std::function<std::optional<Error>(const control::HelloInfo&)> on_hello;
  std::function<Result<control::TunnelBound>(const control::TunnelRequest&)> on_bind;
  std::vector<control::TunnelRequest> binds;

  bool drains_at_once = false;  // Drain goes out before Welcome, and nothing is bound

  // Lives as long as the relay.
  Visit& open(const std::string& tunnel, control::TunnelKind kind,
              std::string visitor_host = "app.relay.test",
              const std::string& visitor = "192.0.2.1:5000");

 private:
  void accept(net::Fd fd);

  net::Loop& loop_;
  net::Identity identity_;
  net::TlsContext tls_;
  std::unique_ptr<net::Listener> listener_;
  std::vector<std::unique_ptr<Visit>> visits_;
};

}  // namespace leat::agent
