// Visitors who turn out to be something else once their WebSocket is there: agents, native or bare,
// and those of sealed services. The connection leaves the HttpVisitor, which is over then.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/log.h"
#include "http/websocket_handshake.h"
#include "net/websocket_transport.h"
#include "relay/agent_session.h"
#include "relay/arrival.h"
#include "relay/bare_agent.h"
#include "relay/forward.h"
#include "relay/http_visitor.h"
#include "relay/sealed_visitor.h"

namespace leat::relay {
namespace {

// Programs send no Origin, or one that the operator has listed; a page cannot choose its own.
bool may_be_agent(const http::Fields& fields, const std::vector<std::string>& origins) {
  const std::string* origin = fields.find("Origin");
  if (origin == nullptr) return true;
  return fields.count("Origin") == 1 && std::ranges::find(origins, *origin) != origins.end();
}

}  // namespace

// An agent whose network passes nothing but HTTPS, or any yamux peer for a room. The one proves who
// it is inside, the other in its head; a page in a browser, which anybody can make open a
// WebSocket, has no business here.
void HttpVisitor::become_agent(const http::Request& request, const Route& route) {
  using http::ws::Offer;
  const Offer offer = http::ws::check_request(request);
  const bool native = http::ws::offers(request.fields, net::kCarrierSubprotocol);
  const bool bare = !route.tunnel.empty() && request.fields.count("Sec-WebSocket-Protocol") == 0;
  if (offer == Offer::bad) return answer(Code::BAD_REQUEST, false);
  if (offer != Offer::ok || (!native && !bare)) return answer(Code::WEBSOCKET_ONLY, false);
  if (!may_be_agent(request.fields, context_.options.agent_origins)) {
    return answer(Code::NOT_FOR_PAGES, false);
  }
  if (native) {
    Crowd& waiting = context_.common.waiting;
    const std::string network = network_of_visitor();
    if (waiting.size() >= limits::kHandshakes ||
        waiting.of(network) >= limits::kHandshakesOfAddress) {
      return end(true);
    }
    if (auto carrier = switch_protocols(request, net::kCarrierSubprotocol)) {
      Arrival::adopt(context_, std::move(carrier), Counted(waiting, network));
      context_.http_visitors.release(*this);
    }
    return;
  }
  Result<BareAgent::Admission> admitted = BareAgent::admit(context_, request, route);
  if (!admitted) {
    log::write(log::Level::warn, "bare agent refused", admitted.error(),
               {{"peer", transport_->peer()},
                {"room", control::valid_tunnel_id(route.tunnel) ? route.tunnel : ""}});
    return answer(admitted.error().code, false);
  }
  if (auto carrier = switch_protocols(request, {})) {
    context_.bare_agents
        .add(std::make_unique<BareAgent>(context_, std::move(carrier), std::move(*admitted)))
        .start();
    context_.http_visitors.release(*this);
  }
}

// Gives the connection up for what is in its WebSocket; nullptr: it is broken off.
std::unique_ptr<net::Transport> HttpVisitor::switch_protocols(const http::Request& request,
                                                              std::string_view subprotocol) {
  std::string accepted;
  http::serialise(http::ws::accept(request, subprotocol), accepted);
  writer_.write(*transport_, accepted);
  if (!writer_.idle()) {  // it has not read the answers before this one
    end(true);
    return nullptr;
  }
  state_ = State::over;
  timer_.disarm();
  return net::make_websocket_transport(context_.shard, std::move(transport_),
                                       http::ws::Role::server, reader_.release_held());
}

// Any page may come: who is let in is decided between the visitor and the agent.
void HttpVisitor::become_sealed(http::Request request, const std::string& tunnel) {
  using http::ws::Offer;
  if (goes_to(context_.place_of(tunnel, control::TunnelKind::sealed, hops_), request)) return;
  const Offer offer = http::ws::check_request(request);
  if (offer == Offer::bad) return answer(Code::BAD_REQUEST, false);
  if (offer != Offer::ok || !http::ws::offers(request.fields, kSealedSubprotocol)) {
    return answer(Code::WEBSOCKET_ONLY, false);
  }
  AgentSession* agent = context_.registry.find(tunnel, control::TunnelKind::sealed);
  if (agent == nullptr) return answer(Code::AGENT_OFFLINE, request.keep_alive);
  account_ = agent->account();
  const auto quota = account_->begin_stream(context_.accounting.now());
  if (quota) return answer(*quota, request.keep_alive);
  const auto stream = agent->open_stream();
  if (!stream) {
    account_->end_stream();
    return answer(Code::AGENT_BUSY, request.keep_alive);
  }
  const std::string address = visitor_facts(request.fields, transport_->peer_host(),
                                            transport_->secure(), context_.options.trusted_proxies)
                                  .address;
  if (address != transport_->peer_host()) transport_->speak_for({address, 0});
  std::string accepted;
  http::serialise(http::ws::accept(request, kSealedSubprotocol), accepted);
  writer_.write(*transport_, accepted);
  if (!writer_.idle()) {  // it has not read the answers before this one
    account_->end_stream();
    agent->driver().mux().reset(*stream);
    return end(true);
  }
  state_ = State::over;
  timer_.disarm();
  SealedVisitor::start(context_, std::move(transport_), reader_.release_held(), *agent, *stream,
                       tunnel, request_id_, account_, std::move(presence_));
  context_.http_visitors.release(*this);
}

}  // namespace leat::relay
