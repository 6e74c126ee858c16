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

class Arrival final : private net::TransportOwner {
 public:
  static void start(Context& context, Knock::Guest guest, const net::TlsContext& tls);
  // A carrier in a WebSocket, already open: an agent.
  static void adopt(Context& context, std::unique_ptr<net::Transport> carrier);
  ~Arrival();

 private:
  Arrival(Context& context, std::unique_ptr<net::Transport> transport, Waiting waiting,
          Time deadline);

  void on_transport() override;
  void greet_agent();
  void handshake();
  void become_agent(Bytes surplus);
  void give_up(const Error& why);

  Context& context_;
  std::unique_ptr<net::Transport> transport_;
  std::optional<Waiting> waiting_;                 // handed on with the connection
  std::optional<net::ServerHandshake> handshake_;  // set: an agent
  std::string output_;
  net::Timer timer_;
  bool over_ = false;
};

}  // namespace leat::relay
