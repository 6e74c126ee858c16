#include "relay/http_exchange.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "mux/pieces.h"
#include "proto/control.pb.h"
#include "relay/forward.h"

namespace leat::relay {
HttpExchange::HttpExchange(const Parts& parts, Owner& owner, const http::Request& request,
                           std::string opening, std::string prefix, std::string request_id,
                           bool keep_alive)
    : parts_(parts),
      owner_(owner),
      prefix_(std::move(opening)),
      method_(request.method),
      minor_(request.minor),
      upgrade_(request.upgrade),
      place_(place_of(request, std::move(prefix))),
      request_id_(std::move(request_id)),
      keep_alive_(keep_alive),
      reply_(limits::kOpenStreamMessage),
      phase_(parts.bare ? Phase::head : Phase::reply),
      begun_(parts.driver.shard().now()) {
  parts_.reader.begin_body(request.body, request.length);
}

HttpExchange::~HttpExchange() {
  if (outcome_ == Outcome::running) parts_.driver.mux().reset(parts_.stream);
}

void HttpExchange::start() { parts_.driver.mux().attach(parts_.stream, this, this); }

void HttpExchange::on_transport() {
  if (outcome_ != Outcome::running) return;
  mux::Session& session = parts_.driver.mux();
  if (parts_.writer.flush(parts_.transport)) session.resume(parts_.stream);
  if (outcome_ != Outcome::running) return;
  if (parts_.writer.failed()) return leave();
  if (closing()) websocket_->tell(parts_.writer, parts_.transport);
  finish_pipe();
  complete_if_done();
  if (outcome_ != Outcome::running) return;
  if (!request_done_ && (phase_ == Phase::raw || !upgrade_)) {
    session.wake(parts_.stream);
  } else if (phase_ != Phase::raw && has_left()) {
    // While the answer was being made: the reset lets the service stop its work.
    leave();
  }
}

// Who ends its direction behind a whole request may still wait for the answer (RFC 9112 §9.6); over
// TLS that is how a client says that it is gone, and nobody goes on reading.
bool HttpExchange::has_left() {
  if (parts_.transport.broken()) return true;
  return parts_.reader.peer_gone(parts_.transport) && parts_.transport.secure();
}

void HttpExchange::on_idle() {
  // The service did not end a WebSocket of which the visitor has been told all.
  if (finished_ && closing()) return complete();
  fail(Code::SERVICE_TIMEOUT);
}

// --- request ---

void HttpExchange::set_meter(Accounting& accounting, HeldBack& held_back,
                             std::shared_ptr<Account> account, Traffic& traffic) {
  if (const auto plan = account->plan()) body_left_ = plan->body;
  meter_.emplace(accounting, held_back, std::move(account), traffic, [this] { on_meter(); });
}

void HttpExchange::on_meter() {
  if (outcome_ != Outcome::running) return;
  if (const auto code = meter_->refused()) {
    const bool told = websocket_ && websocket_->refuse(*code, parts_.writer, parts_.transport);
    return told ? complete() : fail(*code);
  }
  parts_.driver.mux().wake(parts_.stream);
  parts_.driver.mux().resume(parts_.stream);
}

mux::Produced HttpExchange::produce(MutableBytes out) {
  const std::size_t allowed = meter_ ? meter_->allow(out.size()) : out.size();
  if (allowed == 0) return mux::Produced::not_ready();
  const mux::Produced produced = produce_unmetered(out.first(allowed));
  const bool bytes = produced.kind == mux::Produced::Kind::bytes;
  if (bytes) bytes_in_ += produced.n;
  if (meter_) meter_->moved(net::Meter::Direction::in, bytes ? produced.n : 0);
  return produced;
}

mux::Produced HttpExchange::produce_unmetered(MutableBytes out) {
  if (prefix_sent_ < prefix_.size()) {
    const std::size_t n = std::min(out.size(), prefix_.size() - prefix_sent_);
    std::memcpy(out.data(), prefix_.data() + prefix_sent_, n);
    prefix_sent_ += n;
    if (prefix_sent_ == prefix_.size()) {
      std::string().swap(prefix_);
      prefix_sent_ = 0;
    }
    return mux::Produced::bytes(n);
  }
  const mux::Produced produced = produce_request(out);
  switch (produced.kind) {
    case mux::Produced::Kind::bytes:
      owner_.on_exchange();
      break;
    case mux::Produced::Kind::not_ready:
      break;
    case mux::Produced::Kind::end:
      request_done_ = true;
      complete_if_done();
      break;
    case mux::Produced::Kind::error:
      fail(parts_.reader.bad_framing() ? Code::BAD_REQUEST : Code::AGENT_LOST);
      break;
  }
  return produced;
}

mux::Produced HttpExchange::produce_request(MutableBytes out) {
  if (websocket_) return websocket_->produce(parts_.reader, parts_.transport, out);
  if (phase_ == Phase::raw) return parts_.reader.produce_raw(parts_.transport, out);
  // What follows a request to upgrade is sent only once the service has agreed (threat 14).
  if (upgrade_ && !response_begun()) return mux::Produced::not_ready();
  const mux::Produced produced = parts_.reader.produce_body(parts_.transport, out);
  if (body_left_ && produced.kind == mux::Produced::Kind::bytes) {
    if (produced.n > *body_left_) {
      fail(Code::QUOTA_BODY);
      return mux::Produced::error();
    }
    *body_left_ -= produced.n;
  }
  return produced;
}

// --- response ---

std::size_t HttpExchange::deliver_pieces(std::span<const Bytes> pieces) {
  std::size_t size = 0;
  for (const Bytes piece : pieces) size += piece.size();
  if (websocket_ && websocket_->told()) return size;
  Bytes allowed = pieces.front();
  if (meter_ && meter_->allow(size) < size) {  // what is scarce goes piece by piece
    allowed = allowed.first(meter_->allow(allowed.size()));
    pieces = {&allowed, 1};
  }
  if (allowed.empty()) return 0;
  const std::size_t taken = deliver_unmetered(pieces);
  bytes_out_ += taken;
  if (meter_) meter_->moved(net::Meter::Direction::out, taken);
  return taken;
}

std::size_t HttpExchange::deliver_unmetered(std::span<const Bytes> pieces) {
  mux::Pieces left;
  for (const Bytes piece : pieces) left.add(piece);
  std::size_t taken = 0;
  while (!left.empty() && outcome_ == Outcome::running) {
    const std::size_t n = step(left.left());
    if (n == 0) break;
    left.drop(n);
    taken += n;
  }
  if (parts_.writer.failed()) leave();
  if (taken > 0) owner_.on_exchange();
  return taken;
}

std::size_t HttpExchange::step(std::span<const Bytes> pieces) {
  const Bytes data = pieces.front();
  switch (phase_) {
    case Phase::reply:
      return read_reply(data);
    case Phase::head:
      return parts_.writer.idle() ? read_head(data) : 0;
    case Phase::body: {
      const std::size_t n = parts_.writer.write_body(parts_.transport, pieces);
      if (parts_.writer.bad_framing()) fail(Code::SERVICE_PROTOCOL);
      if (parts_.writer.body_done()) {
        phase_ = Phase::done;
        complete_if_done();
      }
      return n;
    }
    case Phase::raw:
      if (websocket_) return websocket_->deliver(parts_.writer, parts_.transport, data);
      return parts_.writer.write_raw(parts_.transport, pieces);
    case Phase::done:
      break;
  }
  // Bytes behind a complete response: the agent is not to be believed any further.
  fail(Code::SERVICE_PROTOCOL);
  return 0;
}

std::size_t HttpExchange::read_reply(Bytes data) {
  std::size_t used = 0;
  switch (reply_.feed(data, used)) {
    case control::MessageReader::State::more:
      return used;
    case control::MessageReader::State::error:
      fail(Code::PROTOCOL);
      return 0;
    case control::MessageReader::State::done:
      break;
  }
  proto::OpenReply reply;
  if (!reply_.parse(reply)) {
    fail(Code::PROTOCOL);
  } else if (reply.has_failure()) {
    fail(code_from_name(reply.failure().code()).value_or(Code::SERVICE_UNREACHABLE));
  } else {
    phase_ = Phase::head;
  }
  return used;
}

std::size_t HttpExchange::read_head(Bytes data) {
  std::size_t used = 0;
  const auto state = head_.feed(data, used);
  if (state == http::HeadReader::State::more) return used;
  std::optional<http::Response> response;
  if (state == http::HeadReader::State::done) response = head_.take_response(method_);
  // The framing of a response must be one the visitor's version can carry (RFC 9112 §6.1).
  const bool usable = response && !(minor_ == 0 && response->body == http::BodyKind::chunked) &&
                      !(response->status == 101 && !upgrade_);
  if (!usable) {
    fail(Code::SERVICE_PROTOCOL);
    return 0;
  }
  on_response(std::move(*response));
  return used;
}

void HttpExchange::on_response(http::Response response) {
  if (response.interim()) {
    if (++interim_ > limits::kInterimHeads) return fail(Code::SERVICE_PROTOCOL);
    if (minor_ == 0) return;  // RFC 9110 §15.2
  }
  const bool interim = response.interim();
  const bool switching = response.status == 101;
  // What was agreed on: several protocols may have been asked for.
  const bool to_websocket = switching && response.fields.has_token("Upgrade", "websocket");
  if (response.body == http::BodyKind::until_close) keep_alive_ = false;
  rewrite_response(response, place_, minor_, keep_alive_, request_id_);
  if (host_only_) confine_to_host(response.fields);
  if (const auto rate =
          meter_ && !interim ? meter_->account().rate_fields(meter_->now()) : std::nullopt) {
    response.fields.set("RateLimit-Policy", rate->policy);
    response.fields.set("RateLimit", rate->state);
  }
  if (switching && !subprotocol_.empty() && response.fields.count("Sec-WebSocket-Protocol") == 0) {
    response.fields.add("Sec-WebSocket-Protocol", std::string(subprotocol_.reveal()));
  }
  std::string head;
  http::serialise(response, head);
  parts_.writer.write(parts_.transport, head);
  if (interim) return;
  parts_.metrics.first_byte.observe(parts_.driver.shard().now() - begun_);
  status_ = response.status;
  if (switching) {
    phase_ = Phase::raw;
    keep_alive_ = false;
    if (meter_ && meter_->account().plan() != nullptr && to_websocket) {
      websocket_.emplace(*meter_, [this](Code code) {
        parts_.metrics.cut(Cut::quota);
        ++parts_.metrics.refused[code];
        owner_.on_exchange();
      });
    }
  } else {
    parts_.writer.begin_body(response.body, response.length);
    phase_ = parts_.writer.body_done() ? Phase::done : Phase::body;
  }
  parts_.driver.mux().wake(parts_.stream);  // an upgrade's request side has been waiting for this
  complete_if_done();
}

void HttpExchange::end() {
  stream_ended_ = true;
  switch (phase_) {
    case Phase::reply:
      return fail(Code::AGENT_LOST, Cut::agent);
    case Phase::head:
      return fail(Code::SERVICE_CUT);
    case Phase::body:
      if (!parts_.writer.complete_at_close()) return fail(Code::SERVICE_CUT);
      phase_ = Phase::done;
      break;
    case Phase::raw:
      finish_pipe();
      break;
    case Phase::done:
      break;
  }
  complete_if_done();
}

// The stream's end goes to the visitor once the head in front of it has, or the close frame.
void HttpExchange::finish_pipe() {
  const bool over = stream_ended_ || (websocket_ && websocket_->told());
  if (phase_ != Phase::raw || !over || finished_ || !parts_.writer.idle()) return;
  finished_ = true;
  parts_.transport.finish();
}

void HttpExchange::reset(mux::ResetReason reason) {
  stream_ended_ = true;
  session_lost_ = reason == mux::ResetReason::session_end;
  fail(reason == mux::ResetReason::peer ? Code::SERVICE_CUT : Code::AGENT_LOST, cut_of(reason));
}

void HttpExchange::complete_if_done() {
  const bool answered = parts_.bare && phase_ == Phase::done;
  if (outcome_ != Outcome::running || (!stream_ended_ && !answered)) return;
  if (phase_ == Phase::raw && (!request_done_ || !finished_)) return;
  if (phase_ != Phase::raw && phase_ != Phase::done) return;
  complete();
}

// A response that is complete before its request: the rest of the request has nowhere to go.
void HttpExchange::complete() {
  if (!request_done_ || !stream_ended_) parts_.driver.mux().reset(parts_.stream);
  outcome_ = Outcome::complete;
  owner_.on_exchange();
}

void HttpExchange::leave() {
  if (outcome_ != Outcome::running) return;
  left_ = true;
  if (!closing()) parts_.metrics.cut(Cut::visitor);
  outcome_ = Outcome::cut;
  parts_.driver.mux().reset(parts_.stream);
  owner_.on_exchange();
}

void HttpExchange::fail(Code code, Cut why) {
  if (outcome_ != Outcome::running) return;
  if (!closing()) {  // else it is counted
    parts_.metrics.cut(why);
    if (why == Cut::quota && response_begun()) ++parts_.metrics.refused[code];  // or else, answered
  }
  code_ = code;
  outcome_ = response_begun() ? Outcome::cut : Outcome::failed;
  parts_.driver.mux().reset(parts_.stream);
  owner_.on_exchange();
}

}  // namespace leat::relay
