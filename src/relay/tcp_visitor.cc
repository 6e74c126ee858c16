#include "relay/tcp_visitor.h"

#include <utility>

#include "base/crypto_util.h"
#include "base/limits.h"
#include "base/log.h"
#include "control/convert.h"
#include "net/socket_address.h"
#include "net/tls.h"
#include "proto/control.pb.h"
#include "relay/agent_session.h"

namespace leat::relay {

void TcpVisitor::start(Context& context, Knock::Guest guest, const std::string& tunnel,
                       control::TunnelKind kind, std::size_t hops) {
  const std::size_t there = context.place_of(tunnel, kind, hops);
  if (there == context.index) return begin(context, std::move(guest), tunnel, kind);
  const auto moving = std::make_shared<Knock::Guest>(std::move(guest));
  const auto counted = std::make_shared<Counted>(context.common.travelling);
  context.common.post(there, [moving, counted, tunnel, kind, hops](Context& other) {
    start(other, std::move(*moving), tunnel, kind, hops + 1);
  });
}

void TcpVisitor::begin(Context& context, Knock::Guest guest, const std::string& tunnel,
                       control::TunnelKind kind) {
  std::unique_ptr<net::Transport> transport =
      net::make_plain_transport(context.shard, guest.socket.release());
  if (!transport) return;
  if (guest.visitor) transport->speak_for(*guest.visitor);
  if (context.crowded(context.common.spliced, net::network_of(transport->peer_host()))) {
    log::info("tcp visitor refused",
              {{"tunnel", tunnel}, {"visitor", transport->peer()}, {"why", "too many of them"}});
    transport->abort();
    return;
  }
  AgentSession* agent = context.registry.find(tunnel, kind);
  const auto access = agent == nullptr ? nullptr : agent->access(tunnel);
  const bool allowed = agent != nullptr && (!access || access->allows(transport->peer_host()));
  const auto account = allowed ? agent->account() : nullptr;
  const auto quota = account ? account->begin_stream(context.accounting.now()) : std::nullopt;
  const auto stream = allowed && !quota ? agent->open_stream() : std::nullopt;
  if (account && !quota && !stream) account->end_stream();
  if (quota) {
    ++context.metrics.refused[*quota];
    context.accounting.refused(*account, *quota);
  }
  if (!stream) {
    log::info("tcp visitor refused", {{"tunnel", tunnel},
                                      {"visitor", transport->peer()},
                                      {"code", quota ? info(*quota).name : "-"}});
    transport->abort();
    return;
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
  const std::string address = transport->peer_host();
  const Visit::About about{.kind = control::name(kind),
                           .tunnel = tunnel,
                           .owner = agent->credential_name(),
                           .address = address,
                           .request_id = preamble.request_id()};
  TcpVisitor& visitor = context.tcp_visitors.add(std::unique_ptr<TcpVisitor>(
      new TcpVisitor(context, agent->driver(), *stream, std::move(transport), std::move(text),
                     tunnel, kind, account, about)));
  visitor.splice_.start_sending(visitor);
}

TcpVisitor::TcpVisitor(Context& context, net::SessionDriver& driver, mux::StreamHandle stream,
                       std::unique_ptr<net::Transport> transport, std::string preamble,
                       std::string tunnel, control::TunnelKind kind,
                       std::shared_ptr<Account> account, const Visit::About& about)
    : context_(context),
      reply_(limits::kOpenStreamMessage),
      reply_timer_(context.shard,
                   [this] { refuse(Code::AGENT_LOST, "the agent did not reply in time"); }),
      tunnel_(std::move(tunnel)),
      peer_(transport->peer()),
      counted_(std::in_place, context.common.spliced, net::network_of(transport->peer_host())),
      visit_(context, about),
      meter_(context.accounting, context.held_back, std::move(account), context.metrics.of(kind),
             [this] { on_meter(); }),
      splice_(driver, stream, std::move(transport), std::move(preamble), *this) {
  splice_.set_meter(&meter_);
  reply_timer_.arm_in(limits::kOpenReply);
}

void TcpVisitor::on_meter() {
  if (over_) return;
  const auto code = meter_.refused();
  if (!code) return splice_.poke();
  ++context_.metrics.refused[*code];
  visit_.blame(*code);
  reply_timer_.disarm();
  splice_.cut();
}

TcpVisitor::~TcpVisitor() = default;

void TcpVisitor::revoke(const std::string& tunnel) {
  if (over_ || tunnel_ != tunnel) return;
  revoked_ = true;
  visit_.blame(Code::REVOKED);
  reply_timer_.disarm();
  splice_.cut();
}

void TcpVisitor::recheck(const std::string& tunnel, const Access& access) {
  if (over_ || tunnel_ != tunnel || access.allows(splice_.transport().peer_host())) return;
  revoked_ = true;
  visit_.blame(Code::ADDRESS_REFUSED);
  reply_timer_.disarm();
  splice_.cut();
}

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
    visit_.answered(0);
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
  counted_.reset();
  reply_timer_.disarm();
  log::write(log::Level::info, "tcp visitor refused", Error{code, std::string(detail)},
             {{"tunnel", tunnel_}, {"visitor", peer_}});
  visit_.blame(code);
  visit_.end();
  splice_.cancel();
  context_.tcp_visitors.release(*this);
}

void TcpVisitor::on_splice_end(net::Splice& splice, bool clean) {
  if (over_) return;
  over_ = true;
  counted_.reset();
  reply_timer_.disarm();
  visit_.moved(splice.bytes_sent(), splice.bytes_received());
  visit_.end(clean);
  log::info("tcp visitor left", {{"tunnel", tunnel_},
                                 {"visitor", peer_},
                                 {"clean", clean},
                                 {"bytes_in", splice.bytes_sent()},
                                 {"bytes_out", splice.bytes_received()}});
  if (!clean) context_.metrics.cut(meter_.cut_of(splice, revoked_));
  context_.tcp_visitors.release(*this);
}

}  // namespace leat::relay
