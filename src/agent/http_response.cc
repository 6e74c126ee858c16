// The response's way: from the service to the stream. See http_exchange.h.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "agent/http_exchange.h"
#include "agent/refusal.h"
#include "base/limits.h"
#include "base/log.h"

namespace leat::agent {
namespace {

// RFC 9110 §9.2.2.
bool idempotent(std::string_view method) {
  static constexpr std::array<std::string_view, 6> kMethods = {"GET",   "HEAD", "OPTIONS",
                                                               "TRACE", "PUT",  "DELETE"};
  return std::ranges::find(kMethods, method) != kMethods.end();
}

}  // namespace

mux::Produced HttpExchange::produce(MutableBytes out) {
  const mux::Produced made = make(out);
  if (made.kind == mux::Produced::Kind::bytes) {
    traffic_.out += made.n;
    moved_ += made.n;
  }
  return made;
}

mux::Produced HttpExchange::make(MutableBytes out) {
  for (;;) {
    if (!text_.empty()) return take_text(out);
    switch (response_) {
      case Response::waiting:
        return mux::Produced::not_ready();
      case Response::head:
        if (!read_head()) return mux::Produced::not_ready();
        break;
      case Response::body:
        if (wrap_) {
          const mux::Produced produced = wrap_body();
          if (text_.empty()) return produced;
          break;
        }
        return pass_on(connection_->reader.produce_body(*connection_->transport, out));
      case Response::pipe:
        return pass_on(connection_->reader.produce_raw(*connection_->transport, out));
      case Response::own:
      case Response::ended:
        response_ = Response::ended;
        finish_if_done();
        return mux::Produced::end();
    }
  }
}

mux::Produced HttpExchange::take_text(MutableBytes out) {
  const std::size_t n = std::min(out.size(), text_.size() - text_sent_);
  std::memcpy(out.data(), text_.data() + text_sent_, n);
  text_sent_ += n;
  if (text_sent_ == text_.size()) {
    std::string().swap(text_);  // a stream of tokens may follow for an hour
    text_sent_ = 0;
  }
  return mux::Produced::bytes(n);
}

mux::Produced HttpExchange::pass_on(mux::Produced produced) {
  switch (produced.kind) {
    case mux::Produced::Kind::bytes:
      if (grace_.armed()) grace_.arm_in(limits::kStalled);
      line_.bytes += produced.n;
      return produced;
    case mux::Produced::Kind::not_ready:
      return produced;
    case mux::Produced::Kind::end:
      if (response_ == Response::body) release_connection();
      response_ = Response::ended;
      finish_if_done();
      return produced;
    case mux::Produced::Kind::error:
      break;
  }
  log::debug("exchange.cut",
             {{"tunnel", egress_.id},
              {"request_id", request_id_},
              {"why", connection_->reader.bad_framing() ? "broken framing of the response"
                                                        : "the service cut the response"}});
  egress_.metrics->cut(Cut::service);
  over();
  return produced;
}

// False: nothing to go on with yet.
bool HttpExchange::read_head() {
  net::HttpReader& reader = connection_->reader;
  switch (reader.read_head(*connection_->transport)) {
    case net::HttpReader::Head::more:
      return false;
    case net::HttpReader::Head::done:
      take_response();
      return true;
    case net::HttpReader::Head::bad:
      service_failed(Code::SERVICE_PROTOCOL, reader.head().why());
      return true;
    case net::HttpReader::Head::end:
    case net::HttpReader::Head::failed:
      break;
  }
  if (may_retry()) {
    retry();
  } else {
    service_failed(Code::SERVICE_CUT, "no response head");
  }
  return true;
}

void HttpExchange::take_response() {
  net::HttpReader& reader = connection_->reader;
  auto response = reader.head().take_response(method_);
  if (!response) return service_failed(Code::SERVICE_PROTOCOL, reader.head().why());
  if (response->interim() && ++interim_ > limits::kInterimHeads) {
    return service_failed(Code::SERVICE_PROTOCOL, "too many interim responses");
  }
  if (early_ && early_->begun()) return take_late(*response);
  const bool switched = response->status == 101;
  if (switched && (!upgrade_ || request_ != Request::sent)) {
    return service_failed(Code::SERVICE_PROTOCOL, "101 nobody asked for");
  }
  egress_.rewrite.response(*response);
  if (cors_origin_ && !response->interim() && !switched) {
    egress_.cors.allow(response->fields, *cors_origin_);
  }
  http::serialise(*response, text_);
  if (response->interim()) return;
  egress_.metrics->first_byte.observe(shard().now() - begun_);
  line_.status = response->status;
  early_timer_.reset();
  if (switched) return begin_pipe();
  // Some services close behind an HTTP/1.0 request whatever their answer says of it.
  keep_alive_ = response->keep_alive && !http10_;
  reader.begin_body(response->body, response->length);
  response_ = Response::body;
  may_rest();
  if (upgrade_) drop_request();  // declined: what was sent in advance has no taker
}

void HttpExchange::begin_pipe() {
  rest_.disarm();
  response_ = Response::pipe;
  request_ = Request::pipe;
  if (stream_ended_) connection_->transport->finish();
  shard().defer(*this);
}

void HttpExchange::service_failed(Code code, std::string_view why) {
  log::warn("service.failed", {{"tunnel", egress_.id},
                               {"request_id", request_id_},
                               {"code", info(code).name},
                               {"why", why}});
  answer_with(code);
}

// The agent's own answer: OpenReply says connected, and no final head has been passed on, unless it
// was our own.
void HttpExchange::answer_with(Code code) {
  drop_connection();
  if (!std::exchange(connected_, true)) text_ += open_reply(nullptr);
  if (early_ && early_->begun()) return end_early(EarlyStream::failure(code, request_id_));
  http::Response response;
  response.status = info(code).http_status;
  response.reason = http::reason_phrase(response.status);
  response.fields.add("Content-Type", "application/json");
  response.fields.add("Cache-Control", "no-store");
  if (cors_origin_) egress_.cors.allow(response.fields, *cors_origin_);
  answer_own(response, Error::json(code, request_id_));
}

void HttpExchange::answer_own(http::Response& response, std::string_view body) {
  early_timer_.reset();
  const bool bodiless = response.status == 204;
  http::set_framing(response.fields, bodiless ? http::BodyKind::none : http::BodyKind::length,
                    body.size());
  http::serialise(response, text_);
  if (method_ != "HEAD") text_ += body;
  line_.status = response.status;
  line_.bytes = method_ == "HEAD" ? 0 : body.size();
  response_ = Response::own;
  drop_request();
}

// A body in the service's framing becomes chunks, in text_; a small one at a time.
mux::Produced HttpExchange::wrap_body() {
  std::array<std::uint8_t, 4096> buffer;
  const mux::Produced produced = connection_->reader.produce_body(*connection_->transport, buffer);
  if (produced.kind == mux::Produced::Kind::bytes) {
    line_.bytes += produced.n;
    text_ += EarlyStream::chunk(as_chars(Bytes(buffer).first(produced.n)));
  } else if (produced.kind == mux::Produced::Kind::end) {
    text_ += EarlyStream::kEnd;
    release_connection();
    response_ = Response::own;
  } else {
    return pass_on(produced);
  }
  return produced;
}

// RFC 9112 §9.3.1: a connection may have been closed for its idleness while the request was on its
// way. Safe only if nothing was answered, a repetition does no harm, and there is no body to send
// again.
bool HttpExchange::may_retry() const {
  return connection_->reused && interim_ == 0 && connection_->reader.head().held() == 0 &&
         body_ != http::BodyKind::chunked && body_length_ == 0 && idempotent(method_);
}

void HttpExchange::retry() {
  drop_connection();
  request_ = Request::waiting;
  response_ = Response::waiting;
  dial();
}

void HttpExchange::release_connection() {
  rest_.disarm();
  if (!connection_) return;
  const bool sent = writer_.body_done() && writer_.idle() && !writer_.failed();
  // A connection that was introduced as one visitor's is nobody else's.
  const bool anyones = egress_.service.proxy_protocol == 0;
  if (sent && keep_alive_ && anyones && connection_->transport->flush()) {
    return egress_.pool.put(std::move(connection_));
  }
  connection_->transport->set_owner(nullptr);
  if (sent) connection_->transport->finish();
  shard().dispose(std::move(connection_));
  if (request_ == Request::body) drop_request();
}

}  // namespace leat::agent
