#include "relay/tcp_visitor.h"

#include <utility>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "base/log.h"
#include "control/convert.h"
#include "net/tls.h"
#include "proto/control.pb.h"
#include "relay/agent_session.h"

namespace leat::relay {

bool TcpVisitor::start(Context& context, Knock::Guest guest, const std::string& tunnel,
                       control::TunnelKind kind) {
  std::unique_ptr<net::Transport> transport =
      net::make_plain_transport(context.shard, guest.socket.release());
  if (!transport) return false;
  if (guest.visitor) transport->speak_for(*guest.visitor);
  AgentSession* agent = context.registry.find(tunnel, kind);
  const auto stream = agent == nullptr ? std::nullopt : agent->open_stream();
  if (!stream) {
    log::info("tcp visitor refused", {{"tunnel", tunnel}, {"visitor", transport->peer()}});
    transport->abort();
    return false;
  }
  proto::OpenStream preamble;
  preamble.set_tunnel(tunnel);
  preamble.set_kind(control::to_wire(kind));
  preamble.set_visitor(transport->peer());
  preamble.set_request_id(random_id());
  preamble.set_visitor_secure(kind == control::TunnelKind::tls);
  preamble.set_visitor_host(guest.server_name);
  std::string text;
  control::append_message(preamble, text);
  log::info("tcp visitor", {{"tunnel", tunnel},
                            {"kind", control::name(kind)},
                            {"visitor", transport->peer()},
                            {"request_id", preamble.request_id()}});
  TcpVisitor& visitor = context.tcp_visitors.add(std::unique_ptr<TcpVisitor>(new TcpVisitor(
      context, agent->driver(), *stream, std::move(transport), std::move(text), tunnel)));
  visitor.splice_.start_sending(visitor);
  return true;
}

TcpVisitor::TcpVisitor(Context& context, net::SessionDriver& driver, mux::StreamHandle stream,
                       std::unique_ptr<net::Transport> transport, std::string preamble,
                       std::string tunnel)
    : context_(context),
      reply_(limits::kOpenStreamMessage),
      reply_timer_(context.shard,
                   [this] { refuse(Code::AGENT_LOST, "the agent did not reply in time"); }),
      tunnel_(std::move(tunnel)),
      peer_(transport->peer()),
      splice_(driver, stream, std::move(transport), std::move(preamble), *this) {
  reply_timer_.arm_in(limits::kOpenReply);
}

TcpVisitor::~TcpVisitor() = default;

std::size_t TcpVisitor::deliver(Bytes data) {
  std::size_t used = 0;
  const auto state = reply_.feed(data, used);
  if (state == control::MessageReader::State::more) return used;
  proto::OpenReply reply;
  if (state == control::MessageReader::State::error || !reply_.parse(reply)) {
    refuse(Code::PROTOCOL, "the agent's reply is malformed");
  } else if (reply.has_failure()) {
    refuse(code_from_name(reply.failure().code()).value_or(Code::SERVICE_UNREACHABLE),
           reply.failure().text());
  } else {
    reply_timer_.disarm();
    splice_.start();  // the rest of `data` goes to the socket
  }
  return used;
}

void TcpVisitor::end() { refuse(Code::AGENT_LOST, "the stream ended before the agent's reply"); }

void TcpVisitor::reset(mux::ResetReason) {
  refuse(Code::AGENT_LOST, "the stream was reset before the agent's reply");
}

void TcpVisitor::refuse(Code code, std::string_view detail) {
  if (over_) return;
  over_ = true;
  reply_timer_.disarm();
  log::write(log::Level::info, "tcp visitor refused", Error{code, std::string(detail)},
             {{"tunnel", tunnel_}, {"visitor", peer_}});
  splice_.cancel();
  context_.tcp_visitors.release(*this);
}

void TcpVisitor::on_splice_end(net::Splice& splice, bool clean) {
  if (over_) return;
  over_ = true;
  reply_timer_.disarm();
  log::info("tcp visitor left", {{"tunnel", tunnel_},
                                 {"visitor", peer_},
                                 {"clean", clean},
                                 {"bytes_in", splice.bytes_sent()},
                                 {"bytes_out", splice.bytes_received()}});
  context_.tcp_visitors.release(*this);
}

}  // namespace leat::relay
