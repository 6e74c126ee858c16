// The relay's side of the control stream, sans-I/O. Decisions (is the credential good, is the name free)
// are the owner's: it answers the events with welcome(), bound() and the like, at once or later.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/signature.h"
#include "control/client.h"
#include "control/wire.h"

namespace leat::control {

struct HelloInfo {
  PublicKey identity{};
  enum class Credential : std::uint8_t { none, token, jwt, join_code } kind = Credential::none;
  Secret credential;
  std::string software;
  std::string host_name;
};

class ServerEvents {
 public:
  virtual void on_hello(HelloInfo hello) = 0;  // answer with welcome() or fail()
  virtual void on_bind(std::uint32_t request, const TunnelRequest& tunnel) = 0;  // bound() or refused()
  virtual void on_unbind(const std::string& tunnel) = 0;

 protected:
  ~ServerEvents() = default;
};

class Server {
 public:
  // `identity`: the key that signed the link's open; a Hello that names another is refused.
  Server(ServerEvents& events, const PublicKey& identity);

  Result<void> feed(Bytes in);  // an error: PROTOCOL, VERSION_MISMATCH or BAD_IDENTITY, Failure queued
  std::string take_output();
  bool has_output() const { return !out_.empty(); }

  void welcome(std::string_view session, std::string_view credential_name);
  void bound(std::uint32_t request, const TunnelBound& tunnel);
  void refused(std::uint32_t request, const Error& error);
  void drain(std::string_view reason, std::uint32_t retry_after_ms, std::uint32_t deadline_ms);
  void notice(const Error& error);
  void fail(const Error& error);  // queues Failure; the session ends after it is sent

 private:
  enum class State : std::uint8_t { waiting, asked, welcomed, failed };
  ServerEvents& events_;
  PublicKey identity_;
  MessageReader reader_;
  std::string out_;
  State state_ = State::waiting;
};

}  // namespace leat::control
