// The relay's side of the control stream, sans-I/O. Decisions (is the credential good, is the name
// free) are the owner's: it answers the events with welcome(), bound() and the like, at once or
// later.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/signature.h"
#include "control/client.h"
#include "control/wire.h"

namespace leat::proto {
class Bind;
class Control;
class Health;
class Hello;
}  // namespace leat::proto

namespace leat::control {

struct HelloInfo {
  PublicKey identity{};
  enum class Credential : std::uint8_t { none, token, jwt, join_code } kind = Credential::none;
  Secret credential;
  std::optional<PublicKey> delegate;  // a key that vouches for the identity; its signature verified
  std::string software;               // printable, at most 255 bytes, like the next
  std::string host_name;
};

// They run inside Server::feed and may call anything of the server but feed.
class ServerEvents {
 public:
  virtual void on_hello(HelloInfo hello) = 0;  // answer with welcome() or fail()
  virtual void on_bind(std::uint32_t request,
                       const TunnelRequest& tunnel) = 0;  // bound() or refused()
  virtual void on_unbind(const std::string& tunnel) = 0;
  // Of a tunnel that is bound; `failure`: why not, null: healthy.
  virtual void on_health(const std::string& /*tunnel*/, const Error* /*failure*/) {}
  virtual void on_leave() = 0;  // end the session once its visitors have everything

 protected:
  ~ServerEvents() = default;
};

class Server {
 public:
  // `identity`: the key that signed the link's open; a Hello that names another is refused.
  Server(ServerEvents& events, const PublicKey& identity);

  // An error ends the session once the output is sent, and stays: PROTOCOL, VERSION_MISMATCH or
  // BAD_IDENTITY with a Failure queued, what fail() was called with, or the agent's own Failure.
  // The owner takes the output when it can send it; an agent that leaves limits::kControlOutput of
  // it unread and goes on asking is in error.
  Result<void> feed(Bytes in);
  std::string take_output();
  bool has_output() const { return !out_.empty(); }

  // Answers that come too late (the session has failed, the request is not open) do nothing.
  // `credential`: made for a join code, or empty.
  void welcome(std::string_view session, std::string_view credential_name,
               const Secret& credential = {});
  void bound(std::uint32_t request, const TunnelBound& tunnel);
  void refused(std::uint32_t request, const Error& error);
  void drain(std::string_view reason, std::uint32_t retry_after_ms, std::uint32_t deadline_ms);
  // `lost`: a tunnel of the session's that is not bound any more. Only once welcomed, like the
  // next.
  void notice(const Error& error, const std::string& lost = {});
  void shared(const std::string& tunnel, std::uint32_t agents);
  void fail(const Error& error);  // queues Failure; the session ends after it is sent

 private:
  enum class State : std::uint8_t { waiting, asked, welcomed, failed };

  void on_message(proto::Control& message);
  void on_hello(proto::Hello& hello);
  void on_bind(const proto::Bind& bind);
  void on_unbind(const std::string& tunnel);
  void on_health(const proto::Health& health);

  ServerEvents& events_;
  PublicKey identity_;
  MessageReader reader_;
  std::string out_;
  State state_ = State::waiting;
  Error error_{Code::PROTOCOL, {}};
  std::uint32_t last_request_ = 0;
  std::set<std::uint32_t> asked_;  // requests not yet answered
  std::set<std::string> bound_;
};

}  // namespace leat::control
