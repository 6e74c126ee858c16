#include "connect/local_http.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/limits.h"
#include "http/proxy.h"
#include "proto/control.pb.h"

namespace leat::connect {
namespace {

// How long a local program may go on sending after everything was sent to it.
constexpr auto kLinger = std::chrono::seconds(2);

// Nobody but the user can have a page under an address of this machine, or under localhost (RFC
// 6761 §6.3). What has no Host (HTTP/1.0) is no browser.
bool is_own(const http::Request& request, std::string_view listens_on) {
  const std::string* field = request.fields.find("Host");
  if (listens_on.empty() || field == nullptr) return true;
  const std::string name = http::host_name(*field);
  in_addr address;
  return name == "localhost" || name.ends_with(".localhost") || name.starts_with('[') ||
         ::inet_pton(AF_INET, name.c_str(), &address) == 1 || name == http::host_name(listens_on);
}

}  // namespace

LocalHttp::LocalHttp(net::SessionDriver& driver, std::unique_ptr<net::Transport> local,
                     std::string service, std::string_view listens_on, Owner& owner)
    : driver_(driver),
      local_(std::move(local)),
      service_(std::move(service)),
      listens_on_(listens_on),
      owner_(owner),
      linger_(driver.shard(), [this] { over(false); }) {
  local_->set_owner(this);
}

LocalHttp::~LocalHttp() {
  if (running()) driver_.mux().reset(stream_);
  local_->set_owner(nullptr);
}

void LocalHttp::on_transport() { driver_.shard().defer(*this); }

void LocalHttp::on_deferred() {
  if (phase_ == Phase::over) return;
  const bool room = writer_.flush(*local_);
  if (writer_.failed()) return over(true);
  if (phase_ == Phase::closing) {
    std::array<std::uint8_t, 4096> scratch;
    net::IoResult got;
    do got = local_->read(scratch);
    while (got.status == net::IoStatus::ok);
    if (got.status != net::IoStatus::would_block) over(false);
    return;
  }
  if (phase_ == Phase::idle) return read_head();
  mux::Session& session = driver_.mux();
  if (room) session.resume(stream_);
  settle();
  if (!running()) return;
  if (!request_done_ && (phase_ == Phase::raw || !upgrade_)) {
    session.wake(stream_);
  } else if (phase_ != Phase::raw && reader_.peer_gone(*local_)) {
    over(true);  // the reset lets the service stop its work
  }
}

// --- request ---

void LocalHttp::read_head() {
  if (!writer_.idle()) return;
  switch (reader_.read_head(*local_)) {
    case net::HttpReader::Head::more:
      return;
    case net::HttpReader::Head::bad:
      return answer(Code::BAD_REQUEST);
    case net::HttpReader::Head::end:
      return over(false);
    case net::HttpReader::Head::failed:
      return over(true);
    case net::HttpReader::Head::done:
      break;
  }
  auto request = reader_.head().take_request();
  if (!request) return answer(Code::BAD_REQUEST);
  if (!is_own(*request, listens_on_)) return answer(Code::MISDIRECTED);
  open(std::move(*request));
}

void LocalHttp::open(http::Request request) {
  const auto stream = driver_.ended() ? std::nullopt : driver_.mux().open(driver_.shard().now());
  if (!stream) return answer(Code::AGENT_BUSY);
  stream_ = *stream;
  method_ = request.method;
  minor_ = request.minor;
  upgrade_ = request.upgrade;
  keep_alive_ = request.keep_alive;
  request_done_ = stream_ended_ = finished_ = false;
  interim_ = 0;
  reply_.emplace(limits::kOpenStreamMessage);
  head_ = {};
  reader_.begin_body(request.body, request.length);
  http::forward(request);
  proto::OpenStream preamble;
  preamble.set_tunnel(service_);
  preamble.set_kind(proto::KIND_HTTP);
  opening_.clear();
  sent_ = 0;
  control::append_message(preamble, opening_);
  http::serialise(request, opening_);
  phase_ = Phase::reply;
  driver_.mux().attach(stream_, this, this);
}

mux::Produced LocalHttp::produce(MutableBytes out) {
  if (sent_ < opening_.size()) {
    const std::size_t n = std::min(out.size(), opening_.size() - sent_);
    std::memcpy(out.data(), opening_.data() + sent_, n);
    sent_ += n;
    return mux::Produced::bytes(n);
  }
  if (phase_ != Phase::raw && upgrade_ && !answered()) return mux::Produced::not_ready();
  const mux::Produced produced =
      phase_ == Phase::raw ? reader_.produce_raw(*local_, out) : reader_.produce_body(*local_, out);
  if (produced.kind == mux::Produced::Kind::end) {
    request_done_ = true;
    driver_.shard().defer(*this);
  } else if (produced.kind == mux::Produced::Kind::error) {
    fail(Code::BAD_REQUEST);
  }
  return produced;
}

// --- response ---

std::size_t LocalHttp::deliver(Bytes data) {
  std::size_t taken = 0;
  while (taken < data.size() && running()) {
    const std::size_t n = step(data.subspan(taken));
    if (n == 0) break;
    taken += n;
  }
  driver_.shard().defer(*this);
  return taken;
}

std::size_t LocalHttp::step(Bytes data) {
  switch (phase_) {
    case Phase::reply:
      return read_reply(data);
    case Phase::head:
      return writer_.idle() ? read_response(data) : 0;
    case Phase::body: {
      const std::size_t n = writer_.write_body(*local_, {&data, 1});
      if (writer_.bad_framing()) fail(Code::SERVICE_PROTOCOL);
      if (phase_ == Phase::body && writer_.body_done()) phase_ = Phase::done;
      return n;
    }
    case Phase::raw:
      return writer_.write_raw(*local_, {&data, 1});
    default:
      fail(Code::SERVICE_PROTOCOL);  // bytes behind a complete response
      return 0;
  }
}

std::size_t LocalHttp::read_reply(Bytes data) {
  std::size_t used = 0;
  const auto state = reply_->feed(data, used);
  if (state == control::MessageReader::State::more) return used;
  proto::OpenReply reply;
  if (state == control::MessageReader::State::error || !reply_->parse(reply)) {
    fail(Code::PROTOCOL);
  } else if (reply.has_failure()) {
    fail(code_from_name(reply.failure().code()).value_or(Code::SERVICE_UNREACHABLE));
  } else {
    phase_ = Phase::head;
  }
  return used;
}

std::size_t LocalHttp::read_response(Bytes data) {
  std::size_t used = 0;
  const auto state = head_.feed(data, used);
  if (state == http::HeadReader::State::more) return used;
  std::optional<http::Response> response;
  if (state == http::HeadReader::State::done) response = head_.take_response(method_);
  if (!response || (minor_ == 0 && response->body == http::BodyKind::chunked) ||
      (response->status == 101 && !upgrade_) ||
      (response->interim() && ++interim_ > limits::kInterimHeads)) {
    return fail(Code::SERVICE_PROTOCOL), 0;
  }
  const bool interim = response->interim();
  if (interim && minor_ == 0) return used;
  const auto body = response->body;
  const auto length = response->length;
  const bool switching = response->status == 101;
  if (body == http::BodyKind::until_close || switching) keep_alive_ = false;
  http::forward(*response);
  if (!interim && !switching && !keep_alive_) response->fields.set("Connection", "close");
  if (!interim && keep_alive_ && minor_ == 0) response->fields.set("Connection", "keep-alive");
  std::string text;
  http::serialise(*response, text);
  writer_.write(*local_, text);
  if (interim) return used;
  if (switching) {
    phase_ = Phase::raw;
  } else {
    writer_.begin_body(body, length);
    phase_ = writer_.body_done() ? Phase::done : Phase::body;
  }
  driver_.mux().wake(stream_);  // an upgrade's request side has been waiting for this
  return used;
}

void LocalHttp::end() {
  stream_ended_ = true;
  if (phase_ == Phase::reply) return fail(Code::AGENT_LOST);
  if (phase_ == Phase::head) return fail(Code::SERVICE_CUT);
  if (phase_ == Phase::body) {
    if (!writer_.complete_at_close()) return fail(Code::SERVICE_CUT);
    phase_ = Phase::done;
  }
  driver_.shard().defer(*this);
}

void LocalHttp::reset(mux::ResetReason reason) {
  fail(reason == mux::ResetReason::peer ? Code::SERVICE_CUT : Code::AGENT_LOST);
}

// --- the end of an exchange ---

void LocalHttp::settle() {
  if (!running() || !stream_ended_ || !writer_.idle()) return;
  if (phase_ == Phase::raw) {
    if (!std::exchange(finished_, true)) local_->finish();
    if (request_done_) close();
    return;
  }
  if (phase_ != Phase::done) return;
  // A response that is complete before its request: the rest of the request has nowhere to go.
  if (!request_done_) driver_.mux().reset(stream_);
  const bool reusable = keep_alive_ && reader_.body_done();
  phase_ = Phase::idle;
  if (!reusable) return close();
  driver_.shard().defer(*this);
}

void LocalHttp::fail(Code code) {
  if (!running()) return;
  const bool begun = answered();
  driver_.mux().reset(stream_);
  phase_ = Phase::idle;
  if (begun) return over(true);
  answer(code);
}

void LocalHttp::answer(Code code) {
  const int status = info(code).http_status == 0 ? 502 : info(code).http_status;
  const std::string body = Error::json(code);
  http::Response response;
  response.status = status;
  response.reason = http::reason_phrase(status);
  response.fields.add("Content-Type", "application/json");
  response.fields.add("Connection", "close");
  http::set_framing(response.fields, http::BodyKind::length, body.size());
  std::string text;
  http::serialise(response, text);
  writer_.write(*local_, method_ == "HEAD" ? text : text + body);
  close();
}

void LocalHttp::close() {
  phase_ = Phase::closing;
  if (writer_.flush(*local_)) local_->finish();
  linger_.arm_in(kLinger);
  driver_.shard().defer(*this);
}

void LocalHttp::over(bool abort) {
  if (phase_ == Phase::over) return;
  if (running()) driver_.mux().reset(stream_);
  phase_ = Phase::over;
  linger_.disarm();
  if (abort) local_->abort();
  owner_.on_http_end(*this);
}

}  // namespace leat::connect
