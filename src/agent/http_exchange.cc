#include "agent/http_exchange.h"

#include <utility>

#include "base/limits.h"
#include "base/log.h"

namespace leat::agent {

HttpExchange::HttpExchange(StreamHost& host, mux::StreamHandle handle, Egress& egress,
                           std::string visitor_host, std::string request_id, std::string visitor)
    : Stream(host, handle),
      egress_(egress),
      traffic_(
          egress.metrics->of(host.sealed() ? control::TunnelKind::sealed : egress.service.kind)),
      visitor_host_(std::move(visitor_host)),
      request_id_(std::move(request_id)),
      visitor_(std::move(visitor)),
      rest_(shard(), [this] { rested(); }),
      grace_(shard(), [this] { cut("the service cut the connection"); }) {}

HttpExchange::~HttpExchange() {
  log_request();
  if (connection_) connection_->transport->set_owner(nullptr);
  if (!over_) mux().reset(handle_);
}

void HttpExchange::start() {
  if (host_.sealed()) rest_.arm_in(limits::kHeadTimeout);
  if (!mux().attach(handle_, this, this)) over();
}

void HttpExchange::on_transport() {
  if (over_ || !connection_) return;
  flush();
  if (over_) return;
  // Reading or writing says so, unless one has ended and the other has nothing to do.
  if (request_ == Request::pipe && connection_->transport->broken()) {
    grace_.arm_in(limits::kStalled);
  }
  mux().wake(handle_);
  finish_if_done();
}

void HttpExchange::on_deferred() {
  if (over_) return host_.retire(*this);
  flush();
  finish_if_done();
}

// For exchanges that have not come to their end: a service that sees its connection break can stop
// working on the answer.
void HttpExchange::drop_connection() {
  dial_.reset();
  grace_.disarm();
  rest_.disarm();
  if (!connection_) return;
  connection_->transport->set_owner(nullptr);
  connection_->transport->abort();
  shard().dispose(std::move(connection_));
}

// Breaks off on both sides. A message cut short is a reset, never an end (threat 13).
void HttpExchange::cut(std::string_view why) {
  if (over_) return;
  log::debug("exchange.cut", {{"tunnel", egress_.id}, {"request_id", request_id_}, {"why", why}});
  egress_.metrics->cut(Cut::service);
  mux().reset(handle_);
  over();
}

// How long the service may, as limits::kFirstByte and kIdleBody say if it is not configured.
void HttpExchange::may_rest() {
  if (!host_.sealed()) return;
  const Service& service = egress_.service;
  const bool head = response_ != Response::body;
  const Duration asked = head ? service.first_byte : service.idle;
  const Duration fallback = head ? Duration(limits::kFirstByte) : Duration(limits::kIdleBody);
  moved_before_ = moved_;
  rest_.arm_in(asked > Duration(0) ? asked : fallback);
}

void HttpExchange::rested() {
  if (over_) return;
  if (request_ == Request::head) return cut("no whole request head");
  if (!connection_) return;
  if (moved_ != moved_before_) return may_rest();
  if (response_ == Response::body) return cut("nothing moves");
  service_failed(Code::SERVICE_TIMEOUT, "no response head");
  mux().wake(handle_);
}

void HttpExchange::over() {
  over_ = true;
  log_request();
  early_timer_.reset();
  drop_connection();
  shard().defer(*this);
}

void HttpExchange::finish_if_done() {
  if (over_ || !stream_ended_ || response_ != Response::ended) return;
  // A pipe still has its connection: what went into it leaves before it is let go.
  if (connection_ && !connection_->transport->flush()) return;
  release_connection();
  line_.whole = true;
  over();
}

void HttpExchange::log_request() {
  if (line_.method.empty()) return;
  line_.tunnel = egress_.id;
  line_.request_id = request_id_;
  line_.took = shard().now() - begun_;
  egress_.requests->note(std::exchange(line_, {}));
}

}  // namespace leat::agent
