// The request's way: from the stream to the service. See http_exchange.h.
#include <utility>

#include "agent/http_exchange.h"
#include "agent/refusal.h"

namespace leat::agent {

std::size_t HttpExchange::deliver(Bytes data) {
  switch (request_) {
    case Request::head:
      return collect_head(data);
    case Request::waiting:
      return 0;
    case Request::body:
      return send_body(data);
    case Request::sent:
      // Who asked for an upgrade may go on; it waits until the service has decided.
      if (!upgrade_) cut("bytes after the end of the request");
      return 0;
    case Request::dropped:
      return data.size();
    case Request::pipe:
      return send_raw(data);
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
  method_ = request->method;
  body_ = request->body;
  body_length_ = request->length;
  upgrade_ = request->upgrade;
  if (const auto refused = host_.admit(egress_, *request, request_id_)) {
    answer_with(*refused);
    return used;
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
      std::make_unique<ServiceDial>(shard(), egress_.service.target, egress_.tls,
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
  request_ = writer_.body_done() ? Request::sent : Request::body;
  response_ = Response::head;
  if (!connection_->reused) std::string().swap(request_text_);
  mux().wake(handle_);
  shard().defer(*this);  // which brings the body
}

std::size_t HttpExchange::send_body(Bytes data) {
  const std::size_t taken = writer_.write_body(*connection_->transport, data);
  if (writer_.bad_framing()) {
    cut("broken framing of the request");
    return 0;
  }
  if (writer_.failed()) {
    drop_request();
    return data.size();
  }
  if (writer_.body_done()) request_ = Request::sent;
  if (taken > 0) shard().defer(*this);  // one flush for all the frames of this batch
  return taken;
}

std::size_t HttpExchange::send_raw(Bytes data) {
  const std::size_t taken = writer_.write_raw(*connection_->transport, data);
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

void HttpExchange::reset(mux::ResetReason) {
  if (!over_) over();
}

}  // namespace leat::agent
