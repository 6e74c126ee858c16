// A TLS connection that has not yet said what it is: handshakes, then becomes an agent's session or
// a visitor. At most limits::kHandshakes at once; each has limits::kHandshakeTimeout (threat 15).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "net/link_handshake.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/transport.h"
#include "relay/context.h"
#include "relay/knock.h"

namespace leat::relay {

class Arrival final : private net::TransportOwner, private net::Deferred {
 public:
  static void start(Context& context, Knock::Guest guest, const net::TlsContext& tls);
  // A carrier in a WebSocket, already open: an agent.
  static void adopt(Context& context, std::unique_ptr<net::Transport> carrier, Counted waiting);
  ~Arrival() override;

 private:
  // A session on its way to its shard.
  struct Leaving {
    net::SessionId session;
    PublicKey identity;
    Directory::Seat seat;
    std::string surplus;
  };
  static void begin_session(Context& context, std::unique_ptr<net::Transport> carrier, Leaving what,
                            std::optional<Counted> waiting);

  Arrival(Context& context, std::unique_ptr<net::Transport> transport, Counted waiting,
          Time deadline);

  void on_transport() override;
  void on_deferred() override;
  void greet_agent();
  void handshake();
  void become_agent(Bytes surplus);
  void give_up(const Error& why);

  Context& context_;
  std::unique_ptr<net::Transport> transport_;
  std::optional<Counted> waiting_;                 // handed on with the connection
  std::optional<net::ServerHandshake> handshake_;  // set: an agent
  std::optional<Leaving> leaving_;
  std::string output_;
  net::Timer timer_;
  bool over_ = false;
};

}  // namespace leat::relay
