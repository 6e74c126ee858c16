// The request's way: from the stream to the service. See http_exchange.h.
#include <utility>

#include "agent/http_exchange.h"
#include "agent/refusal.h"
#include "http/websocket_handshake.h"

namespace leat::agent {

std::size_t HttpExchange::deliver_pieces(std::span<const Bytes> pieces) {
  const std::size_t taken = take(pieces);
  traffic_.in += taken;
  moved_ += taken;
  return taken;
}

std::size_t HttpExchange::take(std::span<const Bytes> pieces) {
  switch (request_) {
    case Request::head:
      return collect_head(pieces.front());
    case Request::waiting:
      return 0;
    case Request::body:
      return send_body(pieces);
    case Request::sent:
      // Who asked for an upgrade may go on; it waits until the service has decided.
      if (!upgrade_) cut("bytes after the end of the request");
      return 0;
    case Request::dropped:
      return pieces.front().size();
    case Request::pipe:
      return send_raw(pieces);
  }
  return 0;
}

std::size_t HttpExchange::collect_head(Bytes data) {
  std::size_t used = 0;
  switch (head_.feed(data, used)) {
    case http::HeadReader::State::more:
      return used;
    case http::HeadReader::State::error:
      cut(head_.why());
      return used;
    case http::HeadReader::State::done:
      break;
  }
  auto request = head_.take_request();
  if (!request) {
    cut(head_.why());
    return used;
  }
  // A room is what was published, not the rest of what answers at its port.
  if (egress_.service.kind == control::TunnelKind::ws &&
      http::ws::check_request(*request) != http::ws::Offer::ok) {
    cut("a room takes WebSockets only");
    return used;
  }
  method_ = request->method;
  line_.method = request->method;
  line_.path = RequestLine::path_of(request->target);
  begun_ = shard().now();
  body_ = request->body;
  body_length_ = request->length;
  upgrade_ = request->upgrade;
  http10_ = request->minor == 0;
  if (const auto refused = host_.admit(egress_, *request, request_id_)) {
    answer_with(*refused);
    return used;
  }
  cors_origin_ = egress_.cors.origin(*request);
  if (cors_origin_) {
    if (auto preflight = egress_.cors.preflight(*request, *cors_origin_)) {
      connected_ = true;
      text_ += open_reply(nullptr);
      answer_own(*preflight, {});
      return used;
    }
    egress_.rewrite.disguise(*request);
  }
  if (egress_.service.sse_comments > Duration(0)) {
    early_ = std::make_unique<EarlyStream>(*request);
    if (early_->possible()) {
      EarlyStream::prepare(*request);
    } else {
      early_.reset();
    }
  }
  std::string asked = visitor_host_;
  if (const std::string* host = request->fields.find("Host"); host && asked.empty()) asked = *host;
  egress_.rewrite.request(*request, asked);
  http::serialise(*request, request_text_);
  request_ = Request::waiting;
  connect();
  return used;
}

void HttpExchange::connect() {
  if (auto connection = egress_.pool.take()) {
    send(std::move(connection));
  } else {
    dial();
  }
}

void HttpExchange::dial() {
  dial_ =
      std::make_unique<ServiceDial>(shard(), egress_.service, egress_.tls, visitor_,
                                    [this](auto transport) { on_dialled(std::move(transport)); });
}

void HttpExchange::on_dialled(Result<std::unique_ptr<net::Transport>> transport) {
  shard().dispose(std::move(dial_));
  if (transport) {
    egress_.note_reached();
    return send(std::make_unique<ServiceConnection>(std::move(*transport)));
  }
  const Error& why = transport.error();
  egress_.note_failure(why);
  if (connected_) return answer_with(why.code);  // a retry: OpenReply has been given
  line_.status = info(why.code).http_status;
  line_.whole = true;  // which the relay answers
  over_ = true;
  host_.replace(*this, std::make_unique<Refusal>(host_, handle_, why, stream_ended_));
}

void HttpExchange::send(std::unique_ptr<ServiceConnection> connection) {
  connection_ = std::move(connection);
  net::Transport& transport = *connection_->transport;
  transport.set_owner(this);
  if (!std::exchange(connected_, true)) text_ += open_reply(nullptr);
  writer_ = {};
  writer_.write(transport, request_text_);
  writer_.begin_body(body_, body_length_);
  request_ = Request::body;
  response_ = Response::head;
  may_rest();
  if (writer_.body_done()) request_sent();
  if (!connection_->reused) std::string().swap(request_text_);
  mux().wake(handle_);
  shard().defer(*this);  // which brings the body
}

std::size_t HttpExchange::send_body(std::span<const Bytes> pieces) {
  if (early_) pieces = pieces.first(1);  // it reads along
  const std::size_t taken = writer_.write_body(*connection_->transport, pieces);
  if (writer_.bad_framing()) {
    cut("broken framing of the request");
    return 0;
  }
  if (writer_.failed()) {
    drop_request();
    return pieces.front().size();
  }
  if (early_) early_->feed_body(pieces.front().first(taken));
  if (writer_.body_done()) request_sent();
  if (taken > 0) shard().defer(*this);  // one flush for all the frames of this batch
  return taken;
}

void HttpExchange::request_sent() {
  request_ = Request::sent;
  if (!early_ || early_timer_) return;
  if (!early_->asked()) return early_.reset();
  early_timer_.emplace(shard(), [this] { begin_early(); });
  early_timer_->arm_in(egress_.service.sse_comments);
}

std::size_t HttpExchange::send_raw(std::span<const Bytes> pieces) {
  const std::size_t taken = writer_.write_raw(*connection_->transport, pieces);
  if (writer_.failed()) {
    cut("the service cut the connection");
    return 0;
  }
  if (taken > 0) shard().defer(*this);
  return taken;
}

// The service has broken off, or has answered without waiting for all of the request. Its answer
// still counts; the rest of the request is taken and thrown away, because only the relay can stop
// the visitor.
void HttpExchange::drop_request() {
  request_ = Request::dropped;
  mux().wake(handle_);
  shard().defer(*this);
}

void HttpExchange::flush() {
  if (!connection_) {
    if (request_ == Request::dropped) mux().resume(handle_);
    return;
  }
  const bool room = writer_.flush(*connection_->transport);
  if (writer_.failed() && request_ == Request::pipe) return cut("the service cut the connection");
  if (writer_.failed() && request_ != Request::dropped) return drop_request();
  if (room || request_ == Request::dropped) mux().resume(handle_);
}

void HttpExchange::end() {
  stream_ended_ = true;
  switch (request_) {
    case Request::head:
    case Request::body:
      return cut("the request ended early");
    case Request::waiting:
      if (body_ == http::BodyKind::chunked || body_length_ > 0) cut("the request ended early");
      return;
    case Request::sent:
    case Request::dropped:
      return finish_if_done();
    case Request::pipe:
      connection_->transport->finish();
      return finish_if_done();
  }
}

void HttpExchange::reset(mux::ResetReason reason) {
  if (over_) return;
  egress_.metrics->cut(cut_of(reason));
  over();
}

}  // namespace leat::agent
