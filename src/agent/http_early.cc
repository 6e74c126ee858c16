// An answer that begins before the service has. See early_stream.h.
#include <utility>

#include "agent/http_exchange.h"

namespace leat::agent {

// One line at a time: a visitor that does not read is not sent more.
void HttpExchange::begin_early() {
  if (over_ || (response_ != Response::head && response_ != Response::waiting)) return;
  if (!early_->begun()) {
    http::Response response = early_->begin();
    if (cors_origin_) egress_.cors.allow(response.fields, *cors_origin_);
    http::serialise(response, text_);
    line_.status = response.status;
  }
  if (text_.size() < 1024) text_ += EarlyStream::comment();
  early_timer_->arm_in(egress_.service.sse_comments);
  mux().wake(handle_);
}

// The service's answer to a visitor who has been told 200 and text/event-stream.
void HttpExchange::take_late(const http::Response& response) {
  if (response.interim()) return;
  early_timer_.reset();
  line_.status = response.status;
  if (!EarlyStream::keeps(response)) {
    drop_connection();
    return end_early(EarlyStream::failure(response));
  }
  keep_alive_ = response.keep_alive;
  connection_->reader.begin_body(response.body, response.length);
  wrap_ = response.body != http::BodyKind::chunked;
  response_ = Response::body;
}

void HttpExchange::end_early(const std::string& failure) {
  early_timer_.reset();
  text_ += failure;
  response_ = Response::own;
  drop_request();
}

}  // namespace leat::agent
