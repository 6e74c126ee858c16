#include "relay/sealed_visitor.h"

#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "http/websocket.h"
#include "net/websocket_transport.h"
#include "proto/control.pb.h"
#include "relay/agent_session.h"

namespace leat::relay {
namespace {

constexpr std::uint16_t kTryAgainLater = 1013;  // IANA's registry of close codes

}  // namespace

void SealedVisitor::start(Context& context, std::unique_ptr<net::Transport> transport,
                          std::string surplus, AgentSession& agent, mux::StreamHandle stream,
                          const std::string& tunnel, const std::string& request_id,
                          std::shared_ptr<Account> account, std::optional<Counted> presence) {
  proto::OpenStream preamble;
  preamble.set_tunnel(tunnel);
  preamble.set_kind(proto::KIND_SEALED);
  // Of one that a proxy names the port is not known.
  const bool direct = transport->peer() != transport->peer_host();
  preamble.set_visitor(direct ? transport->peer() : HostPort{transport->peer_host(), 0}.text());
  preamble.set_request_id(request_id);
  preamble.set_visitor_secure(transport->secure());
  std::string text;
  control::append_message(preamble, text);
  log::info("sealed visitor",
            {{"tunnel", tunnel}, {"visitor", transport->peer()}, {"request_id", request_id}});
  const std::string address = transport->peer_host();
  const Visit::About about{.kind = "sealed",
                           .tunnel = tunnel,
                           .owner = agent.credential_name(),
                           .address = address,
                           .request_id = request_id};
  auto websocket =
      net::make_websocket_transport(context.shard, std::move(transport), http::ws::Role::server,
                                    std::move(surplus), http::ws::kInternalError);
  SealedVisitor& visitor = context.sealed_visitors.add(std::unique_ptr<SealedVisitor>(
      new SealedVisitor(context, agent.driver(), stream, std::move(websocket), std::move(text),
                        tunnel, std::move(account), std::move(presence), about)));
  visitor.splice_.start_sending(visitor);
}

SealedVisitor::SealedVisitor(Context& context, net::SessionDriver& driver, mux::StreamHandle stream,
                             std::unique_ptr<net::Transport> websocket, std::string preamble,
                             std::string tunnel, std::shared_ptr<Account> account,
                             std::optional<Counted> presence, const Visit::About& about)
    : context_(context),
      reply_(limits::kOpenStreamMessage),
      reply_timer_(context.shard, [this] { refuse(Code::AGENT_LOST); }),
      tunnel_(std::move(tunnel)),
      peer_(websocket->peer()),
      presence_(std::move(presence)),
      visit_(context, about),
      meter_(context.accounting, context.held_back, std::move(account), context.metrics.sealed,
             [this] { on_meter(); }),
      splice_(driver, stream, std::move(websocket), std::move(preamble), *this) {
  splice_.set_meter(&meter_);
  reply_timer_.arm_in(limits::kOpenReply);
}

void SealedVisitor::on_meter() {
  if (over_) return;
  const auto code = meter_.refused();
  if (!code) return splice_.poke();
  visit_.blame(*code);
  ++context_.metrics.refused[*code];
  // What is sealed is not whole, which its reader sees; this tells a person why.
  net::close_websocket(splice_.transport(), http::ws::kPolicy, meter_.reason(*code));
  cut();
}

void SealedVisitor::revoke(const std::string& tunnel) {
  if (over_ || tunnel_ != tunnel) return;
  revoked_ = true;
  visit_.blame(Code::REVOKED);
  cut();
}

void SealedVisitor::cut() {
  reply_timer_.disarm();
  splice_.cut();
}

std::size_t SealedVisitor::deliver(Bytes data) {
  std::size_t used = 0;
  const auto state = reply_.feed(data, used);
  if (state == control::MessageReader::State::more) return used;
  proto::OpenReply reply;
  if (state == control::MessageReader::State::error || !reply_.parse(reply)) {
    refuse(Code::PROTOCOL);
  } else if (reply.has_failure()) {
    refuse(code_from_name(reply.failure().code()).value_or(Code::SERVICE_UNREACHABLE));
  } else {
    reply_timer_.disarm();
    visit_.answered(0);
    splice_.start();  // the rest of `data` goes to the visitor
  }
  return used;
}

void SealedVisitor::end() { refuse(Code::AGENT_LOST); }

void SealedVisitor::reset(mux::ResetReason) { refuse(Code::AGENT_LOST); }

void SealedVisitor::refuse(Code code) {
  if (over_) return;
  over_ = true;
  reply_timer_.disarm();
  log::info("sealed visitor refused",
            {{"tunnel", tunnel_}, {"visitor", peer_}, {"code", info(code).name}});
  net::close_websocket(splice_.transport(), kTryAgainLater, info(code).name);
  visit_.blame(code);
  visit_.end();
  splice_.cancel();
  context_.sealed_visitors.release(*this);
}

void SealedVisitor::on_splice_end(net::Splice& splice, bool clean) {
  if (std::exchange(over_, true)) return;
  reply_timer_.disarm();
  visit_.moved(splice.bytes_sent(), splice.bytes_received());
  visit_.end(clean);
  log::info("sealed visitor left", {{"tunnel", tunnel_},
                                    {"visitor", peer_},
                                    {"clean", clean},
                                    {"bytes_in", splice.bytes_sent()},
                                    {"bytes_out", splice.bytes_received()}});
  if (!clean) context_.metrics.cut(meter_.cut_of(splice, revoked_));
  context_.sealed_visitors.release(*this);
}

}  // namespace leat::relay
