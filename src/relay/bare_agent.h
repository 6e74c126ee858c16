// A room's agent that is any yamux peer behind a WebSocket (docs/protocol.md §5.7): no link, no
// control stream, no preamble. What it may do was settled by the head of its request; from there on
// it takes the streams that visitors make.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "auth/claims.h"
#include "base/secret.h"
#include "base/signature.h"
#include "http/head.h"
#include "mux/session.h"
#include "net/session_driver.h"
#include "relay/context.h"
#include "relay/route.h"

namespace leat::relay {

class BareAgent final : private net::SessionDriver::Owner {
 public:
  // By what right an agent serves a room.
  struct Admission {
    std::string room;
    std::int64_t token = 0;                   // 0: none, in a room that nobody owns
    std::string credential = {};              // the token's name
    Counted counted;                          // of the token's sessions
    std::shared_ptr<Account> account;         // of the owner, or of all that nobody owns
    Directory::Held held;                     // the room
    std::optional<auth::Claims> claims = {};  // of a JWT
  };
  // Checks the credential of a request to `route`, and makes it the owner of the room. Errors are
  // what the agent is to be told: BAD_TUNNEL_ID, NO_TOKEN, BAD_TOKEN, BAD_JWT, TUNNEL_TAKEN and so
  // on.
  static Result<Admission> admit(Context& context, const http::Request& request,
                                 const Route& route);

  // `carrier`: behind the upgrade.
  BareAgent(Context& context, std::unique_ptr<net::Transport> carrier, Admission admission);
  ~BareAgent();

  void start();
  net::SessionDriver& driver() { return driver_; }
  // A stream for a visitor; nullopt: it has all it takes.
  std::optional<mux::StreamHandle> open_stream();

  const std::shared_ptr<Account>& account() const { return admission_.account; }
  const std::string& room() const { return admission_.room; }
  const std::string& owner() const { return admission_.credential; }
  const std::string& peer() const { return peer_; }
  bool owns_room() const { return admission_.token != 0; }
  // Of the agents of one owner, or of nobody, in one room: what the admin API knows them by.
  PublicKey identity() const;
  struct About {
    std::chrono::sys_seconds since;
    std::size_t streams;
    std::uint64_t bytes_in, bytes_out;
  };
  About about();

  void close(const Error& why);
  // After the store has changed: ends the session if its credential was revoked.
  void check_credential();
  // After other keys were read: ends it if none of them verifies its JWT.
  void check_keys();

 private:
  void watch_expiry();
  void on_stream(mux::StreamHandle stream) override;
  void on_go_away() override;
  void on_ended(const Error& why) override;

  Context& context_;
  Admission admission_;
  const std::string peer_;
  const std::chrono::sys_seconds since_ =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  net::SessionDriver driver_;
  net::Timer expiry_timer_;  // of its JWT
  bool over_ = false;
};

}  // namespace leat::relay
