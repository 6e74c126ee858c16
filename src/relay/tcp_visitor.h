// A visitor whose bytes pass as they are: raw TCP on a port that belongs to one tunnel, or TLS for
// a name that does.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "control/wire.h"
#include "mux/endpoint.h"
#include "net/socket.h"
#include "net/splice.h"
#include "net/transport.h"
#include "relay/context.h"
#include "relay/knock.h"
#include "relay/visit.h"

namespace leat::relay {

// Joined to a stream at once: bytes of either side wait for nothing but the agent's OpenReply,
// which is taken out of the way before the service's first byte.
class TcpVisitor final : private net::Splice::Owner, private mux::Sink {
 public:
  // On the shard of an agent that serves the tunnel, wherever that is. No agent, or it has no
  // stream to spare: the connection is reset.
  static void start(Context& context, Knock::Guest guest, const std::string& tunnel,
                    control::TunnelKind kind) {
    start(context, std::move(guest), tunnel, kind, 0);
  }
  ~TcpVisitor();
  // The tunnel was taken from its owner.
  void revoke(const std::string& tunnel);
  // The rules of a tunnel have changed: ends if they would not let it in.
  void recheck(const std::string& tunnel, const Access& access);

 private:
  static void start(Context& context, Knock::Guest guest, const std::string& tunnel,
                    control::TunnelKind kind, std::size_t hops);
  static void begin(Context& context, Knock::Guest guest, const std::string& tunnel,
                    control::TunnelKind kind);
  TcpVisitor(Context& context, net::SessionDriver& driver, mux::StreamHandle stream,
             std::unique_ptr<net::Transport> transport, std::string preamble, std::string tunnel,
             control::TunnelKind kind, std::shared_ptr<Account> account, const Visit::About& about);

  std::size_t deliver(Bytes data) override;
  void end() override;
  void reset(mux::ResetReason reason) override;
  void on_splice_end(net::Splice& splice, bool clean) override;

  void on_meter();
  void refuse(Code code, std::string_view detail);

  Context& context_;
  control::MessageReader reply_;
  net::Timer reply_timer_;  // until the agent's OpenReply
  std::string tunnel_;
  std::string peer_;
  std::optional<Counted> counted_;  // until it is over: it may be buried after the context
  Visit visit_;
  StreamMeter meter_;  // outlives the splice
  net::Splice splice_;
  bool over_ = false, revoked_ = false;
};

}  // namespace leat::relay
