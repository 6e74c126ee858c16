#include "relay/http_visitor.h"

#include <array>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "http/websocket_handshake.h"
#include "net/websocket_transport.h"
#include "proto/control.pb.h"
#include "relay/agent_session.h"
#include "relay/arrival.h"
#include "relay/forward.h"
#include "relay/route.h"
#include "relay/sealed_visitor.h"

namespace leat::relay {
namespace {

// How long a visitor may go on sending after everything was sent to it.
constexpr auto kLinger = std::chrono::seconds(2);

// Requests that the relay answers itself, from one connection, before the shard looks at the
// others.
constexpr int kHeadsInARow = 16;

Code head_error(http::HeadError error) {
  switch (error) {
    case http::HeadError::too_large:
      return Code::HEAD_TOO_LARGE;
    case http::HeadError::not_a_proxy:
      return Code::NOT_A_PROXY;
    default:
      return Code::BAD_REQUEST;
  }
}

}  // namespace

HttpVisitor::HttpVisitor(Context& context, std::unique_ptr<net::Transport> transport, bool tunnels,
                         std::optional<Waiting> waiting)
    : context_(context),
      transport_(std::move(transport)),
      timer_(context.shard, [this] { on_timer(); }),
      waiting_(std::move(waiting)),
      tunnels_(tunnels) {
  transport_->set_owner(this);
}

HttpVisitor::~HttpVisitor() {
  if (transport_) transport_->set_owner(nullptr);
}

void HttpVisitor::start() {
  timer_.arm_in(limits::kHeadTimeout);
  context_.shard.defer(*this);
}

void HttpVisitor::drain() {
  if (state_ == State::head && reader_.head().held() == 0 && !reader_.has_held()) linger();
}

void HttpVisitor::on_transport() {
  switch (state_) {
    case State::head:
      writer_.flush(*transport_);
      if (writer_.failed()) return end(true);
      return read_heads();
    case State::exchange:
      watch();
      return exchange_->on_transport();
    case State::lingering:
      writer_.flush(*transport_);
      return discard();
    case State::over:
      return;
  }
}

void HttpVisitor::on_exchange() { context_.shard.defer(*this); }

void HttpVisitor::on_deferred() {
  if (state_ == State::head) return on_transport();
  if (state_ == State::lingering) return discard();
  if (state_ != State::exchange) return;
  watch();
  if (exchange_->outcome() == HttpExchange::Outcome::running) {
    exchange_->on_transport();
  }
  if (exchange_->outcome() != HttpExchange::Outcome::running) settle();
}

// For how long nothing may move in the exchange; called when something did.
void HttpVisitor::watch() {
  if (transport_->broken()) {
    // Reading or writing would say so, but there may be nothing to write, and nobody to read for.
    timer_.arm_in(limits::kStalled);
  } else if (exchange_->piped()) {
    timer_.disarm();  // a pipe may be silent for as long as its ends like
  } else {
    timer_.arm_in(exchange_->response_begun() ? Duration(limits::kIdleBody)
                                              : Duration(limits::kFirstByte));
  }
}

// --- heads ---

void HttpVisitor::read_heads() {
  for (int left = kHeadsInARow; state_ == State::head; --left) {
    if (left == 0) return context_.shard.defer(*this);  // the others first
    if (!writer_.idle())
      return;  // the last answer first: a reader that stalls gets no more work done
    const bool begun = reader_.head().held() > 0;
    switch (reader_.read_head(*transport_)) {
      case net::HttpReader::Head::more:
        if (!begun && reader_.head().held() > 0) timer_.arm_in(limits::kHeadTimeout);
        return;
      case net::HttpReader::Head::bad:
        return answer(head_error(reader_.head().error()), false);
      case net::HttpReader::Head::end:
        return end(false);
      case net::HttpReader::Head::failed:
        return end(true);
      case net::HttpReader::Head::done: {
        std::optional<http::Request> request = reader_.head().take_request();
        if (!request) {
          log::debug("request refused",
                     {{"visitor", transport_->peer()}, {"why", reader_.head().why()}});
          return answer(head_error(reader_.head().error()), false);
        }
        handle(std::move(*request));
      }
    }
  }
}

void HttpVisitor::handle(http::Request request) {
  waiting_.reset();
  request_id_ = request_id_of(request);
  head_request_ = request.method == "HEAD";
  // An answer of our own reads no body, so that only a request without one leaves the connection
  // usable.
  const bool keep_alive =
      request.keep_alive && request.body == http::BodyKind::none && !context_.draining;
  const std::string* host = request.fields.find("Host");
  if (host != nullptr && misdirected(*host, transport_->sni())) {
    return answer(Code::MISDIRECTED, keep_alive);
  }
  const Route way = route(request, tunnels_);
  switch (way.kind) {
    case Route::Kind::invalid:
      return answer(Code::BAD_REQUEST, false);
    case Route::Kind::none:
      return answer(Code::NO_SUCH_PATH, keep_alive);
    case Route::Kind::slash:
      return answer(308, {}, keep_alive, "Location: " + way.target + "\r\n");
    case Route::Kind::health:
      if (request.method != "GET" && !head_request_)
        return answer(Code::METHOD_REFUSED, keep_alive);
      return answer(context_.draining ? 503 : 200,
                    context_.draining ? "{\"status\":\"draining\"}\n" : "{\"status\":\"ok\"}\n",
                    keep_alive);
    case Route::Kind::agent:
      if (context_.draining) return answer(Code::DRAINING, false);
      return become_agent(request);
    case Route::Kind::sealed:
      if (context_.draining) return answer(Code::DRAINING, false);
      return become_sealed(request, way.tunnel);
    case Route::Kind::tunnel:
      if (context_.draining) return answer(Code::DRAINING, false);
      return open(std::move(request), way);
  }
}

void HttpVisitor::open(http::Request request, const Route& route) {
  const bool keep_alive = request.keep_alive;
  AgentSession* agent = context_.registry.find(route.tunnel, control::TunnelKind::http);
  const bool bodiless = request.body == http::BodyKind::none;
  if (agent == nullptr) return answer(Code::AGENT_OFFLINE, keep_alive && bodiless);

  proto::OpenStream preamble;
  preamble.set_tunnel(route.tunnel);
  preamble.set_kind(proto::KIND_HTTP);
  preamble.set_visitor(transport_->peer());
  preamble.set_request_id(request_id_);
  preamble.set_visitor_secure(transport_->secure());
  if (const std::string* trace = request.fields.find("traceparent");
      trace && trace->size() <= 128) {
    preamble.set_traceparent(*trace);
  }
  if (const std::string* host = request.fields.find("Host"); host && host->size() <= 512) {
    preamble.set_visitor_host(*host);
  }
  rewrite_request(request, route, {transport_->peer_host(), transport_->secure(), request_id_});
  std::string head;
  http::serialise(request, head);
  // With what was added it may be more than the agent would take.
  if (request.fields.all().size() > limits::kHeaderFields || head.size() > limits::kHead) {
    return answer(Code::HEAD_TOO_LARGE, keep_alive && bodiless);
  }
  const auto stream = agent->open_stream();
  if (!stream) return answer(Code::AGENT_BUSY, keep_alive && bodiless);

  log::debug("request", {{"request_id", request_id_},
                         {"tunnel", route.tunnel},
                         {"method", request.method},
                         {"visitor", transport_->peer()}});
  std::string opening;
  control::append_message(preamble, opening);
  opening += head;
  exchange_ = std::make_unique<HttpExchange>(
      HttpExchange::Parts{*transport_, reader_, writer_, agent->driver(), *stream},
      static_cast<HttpExchange::Owner&>(*this), request, std::move(opening), route.prefix,
      request_id_, keep_alive);
  state_ = State::exchange;
  timer_.arm_in(limits::kFirstByte);
  exchange_->start();
}

// An agent whose network passes nothing but HTTPS. It proves who it is inside; a page in a browser,
// which anybody can make open a WebSocket, has no business here.
void HttpVisitor::become_agent(const http::Request& request) {
  using http::ws::Offer;
  const Offer offer = http::ws::check_request(request);
  if (offer == Offer::bad) return answer(Code::BAD_REQUEST, false);
  if (offer != Offer::ok || !http::ws::offers(request.fields, net::kCarrierSubprotocol)) {
    return answer(Code::WEBSOCKET_ONLY, false);
  }
  if (request.fields.count("Origin") != 0) return answer(Code::NOT_FOR_PAGES, false);
  if (context_.waiting >= limits::kHandshakes) return end(true);
  std::string accepted;
  http::serialise(http::ws::accept(request, net::kCarrierSubprotocol), accepted);
  writer_.write(*transport_, accepted);
  if (!writer_.idle()) return end(true);  // it has not read the answers before this one
  state_ = State::over;
  timer_.disarm();
  Arrival::adopt(context_,
                 net::make_websocket_transport(context_.shard, std::move(transport_),
                                               http::ws::Role::server, reader_.release_held()));
  context_.http_visitors.release(*this);
}

// Any page may come: who is let in is decided between the visitor and the agent.
void HttpVisitor::become_sealed(const http::Request& request, const std::string& tunnel) {
  using http::ws::Offer;
  const Offer offer = http::ws::check_request(request);
  if (offer == Offer::bad) return answer(Code::BAD_REQUEST, false);
  if (offer != Offer::ok || !http::ws::offers(request.fields, kSealedSubprotocol)) {
    return answer(Code::WEBSOCKET_ONLY, false);
  }
  AgentSession* agent = context_.registry.find(tunnel, control::TunnelKind::sealed);
  if (agent == nullptr) return answer(Code::AGENT_OFFLINE, request.keep_alive);
  const auto stream = agent->open_stream();
  if (!stream) return answer(Code::AGENT_BUSY, request.keep_alive);
  std::string accepted;
  http::serialise(http::ws::accept(request, kSealedSubprotocol), accepted);
  writer_.write(*transport_, accepted);
  if (!writer_.idle()) {  // it has not read the answers before this one
    agent->driver().mux().reset(*stream);
    return end(true);
  }
  state_ = State::over;
  timer_.disarm();
  SealedVisitor::start(context_, std::move(transport_), reader_.release_held(), *agent, *stream,
                       tunnel, request_id_);
  context_.http_visitors.release(*this);
}

void HttpVisitor::settle() {
  const std::unique_ptr<HttpExchange> exchange = std::move(exchange_);
  switch (exchange->outcome()) {
    case HttpExchange::Outcome::running:
      return;
    case HttpExchange::Outcome::failed:
      state_ = State::head;
      return answer(exchange->code(), false);
    case HttpExchange::Outcome::cut:
      return end(true);
    case HttpExchange::Outcome::complete:
      break;
  }
  if (!exchange->reusable() || context_.draining) return linger();
  state_ = State::head;
  timer_.arm_in(limits::kIdleConnection);
  on_transport();
}

// --- answers of our own ---

void HttpVisitor::answer(Code code, bool keep_alive) {
  const CodeInfo& about = info(code);
  std::string_view extra;
  if (about.http_status == 503) extra = "Retry-After: 2\r\n";
  if (about.http_status == 405) extra = "Allow: GET, HEAD\r\n";
  if (about.http_status == 426) extra = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  answer(about.http_status == 0 ? 502 : about.http_status, Error::json(code), keep_alive, extra);
}

void HttpVisitor::answer(int status, std::string_view body, bool keep_alive,
                         std::string_view extra_fields) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
  text += http::reason_phrase(status);
  text += "\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: ";
  text += std::to_string(body.size());
  text += "\r\n";
  text += extra_fields;
  if (!request_id_.empty()) text += "X-Request-Id: " + request_id_ + "\r\n";
  text += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (!head_request_) text += body;
  writer_.write(*transport_, text);
  if (writer_.failed()) return end(true);
  if (!keep_alive) return linger();
  writer_.flush(*transport_);
  timer_.arm_in(limits::kIdleConnection);
}

// --- the end ---

void HttpVisitor::linger() {
  state_ = State::lingering;
  timer_.arm_in(limits::kIdleBody);  // for what is still on its way to the visitor
  discard();
}

void HttpVisitor::discard() {
  if (writer_.failed()) return end(true);
  if (!writer_.flush(*transport_)) return timer_.arm_in(limits::kIdleBody);
  if (!flushed_) {
    flushed_ = true;
    transport_->finish();
    timer_.arm_in(kLinger);
  }
  std::array<std::uint8_t, 4096> scratch;
  for (int i = 0; i < 64; ++i) {
    const net::IoResult result = transport_->read(scratch);
    if (result.status == net::IoStatus::would_block) return;
    if (result.status != net::IoStatus::ok) return end(false);
  }
  context_.shard.defer(*this);  // it keeps sending; the timer ends this
}

void HttpVisitor::on_timer() {
  switch (state_) {
    case State::head:
      if (reader_.head().held() > 0) return answer(Code::HEAD_TIMEOUT, false);
      return linger();
    case State::exchange:
      exchange_->on_idle();
      return;
    case State::lingering:
      return end(!flushed_);  // what could not be delivered must not look like an end
    case State::over:
      return;
  }
}

void HttpVisitor::end(bool abort) {
  if (state_ == State::over) return;
  state_ = State::over;
  timer_.disarm();
  if (abort) transport_->abort();
  context_.http_visitors.release(*this);
}

}  // namespace leat::relay
