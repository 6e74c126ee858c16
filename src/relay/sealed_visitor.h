// A visitor of a sealed tunnel: an endpoint of WebSocket whose messages carry bytes that only the
// visitor and the agent can read (docs/protocol.md §8.1). What the relay says by its close codes is
// a hint to a person; what ended and how is sealed.
//
//   1000 FIN of the agent · 1011 its reset · 1013 its OpenReply says no, the code is the reason
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "control/wire.h"
#include "mux/endpoint.h"
#include "net/splice.h"
#include "net/transport.h"
#include "relay/accounting.h"
#include "relay/context.h"
#include "relay/visit.h"

namespace leat::relay {

inline constexpr char kSealedSubprotocol[] = "leat-sealed.1";

class SealedVisitor final : private net::Splice::Owner, private mux::Sink {
 public:
  // The upgrade has been answered; `surplus` came behind the request. `account` has begun the
  // stream; `presence`: among the visitors who came by HTTP.
  static void start(Context& context, std::unique_ptr<net::Transport> transport,
                    std::string surplus, AgentSession& agent, mux::StreamHandle stream,
                    const std::string& tunnel, const std::string& request_id,
                    std::shared_ptr<Account> account, std::optional<Counted> presence);
  // Cuts it if it visits this tunnel.
  void revoke(const std::string& tunnel);

 private:
  SealedVisitor(Context& context, net::SessionDriver& driver, mux::StreamHandle stream,
                std::unique_ptr<net::Transport> websocket, std::string preamble, std::string tunnel,
                std::shared_ptr<Account> account, std::optional<Counted> presence,
                const Visit::About& about);

  std::size_t deliver(Bytes data) override;
  void end() override;
  void reset(mux::ResetReason reason) override;
  void on_splice_end(net::Splice& splice, bool clean) override;

  void on_meter();
  void cut();
  void refuse(Code code);

  Context& context_;
  control::MessageReader reply_;
  net::Timer reply_timer_;  // until the agent's OpenReply
  const std::string tunnel_, peer_;
  const std::optional<Counted> presence_;
  Visit visit_;
  StreamMeter meter_;  // outlives the splice
  net::Splice splice_;
  bool over_ = false, revoked_ = false;
};

}  // namespace leat::relay
