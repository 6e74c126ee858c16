#include "cli/sample_connection.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/calendar.h"
#include "base/limits.h"

namespace leat::cli {
namespace {

constexpr auto kLinger = std::chrono::seconds(2);

std::uint64_t unix_us() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

std::string chunk(std::string_view data) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string size;
  for (std::size_t n = data.size(); n > 0; n >>= 4) size.insert(size.begin(), kDigits[n & 15]);
  return size.append("\r\n").append(data).append("\r\n");
}

}  // namespace

SampleServer::Connection::Connection(SampleServer& server,
                                     std::unique_ptr<net::Transport> transport)
    : server_(server),
      transport_(std::move(transport)),
      pace_(server.shard_, [this] { generate(); }),
      deadline_(server.shard_, [this] { close(); }) {
  transport_->set_owner(this);
  deadline_.arm_in(limits::kHeadTimeout);
}

void SampleServer::Connection::drain() {
  last_ = true;
  if (phase_ == Phase::head && reader_.head().held() == 0 && !reader_.has_held()) close();
}

void SampleServer::Connection::advance() {
  Step step = Step::on;
  while (step == Step::on) {
    switch (phase_) {
      case Phase::head:
        step = read_head();
        break;
      case Phase::body:
        step = read_body();
        break;
      case Phase::answer:
        step = watch_answer();
        break;
      case Phase::linger:
        step = linger();
        break;
    }
  }
}

SampleServer::Connection::Step SampleServer::Connection::close() {
  if (phase_ == Phase::answer) {
    transport_->abort();  // cut short, and seen to be
  } else {
    transport_->finish();
  }
  server_.drop(*this);
  return Step::closed;
}

// --- the request ---

SampleServer::Connection::Step SampleServer::Connection::read_head() {
  const bool idle = reader_.head().held() == 0;
  switch (reader_.read_head(*transport_)) {
    case net::HttpReader::Head::more:
      if (idle && reader_.head().held() > 0) deadline_.arm_in(limits::kHeadTimeout);
      return Step::wait;
    case net::HttpReader::Head::end:
    case net::HttpReader::Head::failed:
      return close();
    case net::HttpReader::Head::bad:
      refuse(sample_error(reader_.head().error() == http::HeadError::too_large ? 431 : 400,
                          "the request is not valid HTTP/1.1"));
      return Step::on;
    case net::HttpReader::Head::done:
      break;
  }
  auto request = reader_.head().take_request();
  if (request) {
    begin(std::move(*request));
  } else {
    refuse(sample_error(400, "the request is not valid HTTP/1.1"));
  }
  return Step::on;
}

void SampleServer::Connection::begin(http::Request request) {
  request_ = std::move(request);
  reader_.begin_body(request_.body, request_.length);
  content_ = Dechunker(request_.body);
  body_.clear();
  last_ = last_ || !request_.keep_alive;
  answered_ = false;
  phase_ = Phase::body;
  deadline_.arm_in(limits::kHeadTimeout);
  if (request_.expect_continue) write("HTTP/1.1 100 Continue\r\n\r\n");
}

SampleServer::Connection::Step SampleServer::Connection::read_body() {
  std::array<std::uint8_t, 16 * 1024> buffer;
  const mux::Produced produced = reader_.produce_body(*transport_, buffer);
  switch (produced.kind) {
    case mux::Produced::Kind::bytes:
      content_.feed(as_chars(Bytes(buffer).first(produced.n)), body_);
      if (body_.size() > kSampleBody) refuse(sample_error(413, "the body is larger than 4 MiB"));
      deadline_.arm_in(limits::kHeadTimeout);
      return Step::on;
    case mux::Produced::Kind::not_ready:
      writer_.flush(*transport_);
      return Step::wait;
    case mux::Produced::Kind::end:
      respond();
      return Step::on;
    case mux::Produced::Kind::error:
      break;
  }
  if (!reader_.bad_framing()) return close();
  refuse(sample_error(400, "the request's body is not framed as its head says"));
  return Step::on;
}

void SampleServer::Connection::respond() {
  const std::string_view target = request_.target;
  const SampleRequest request{request_.method, target.substr(0, target.find('?')), body_};
  SampleAnswer made = answer(request, server_.options_.tokens, unix_us());
  body_ = std::string();
  phase_ = Phase::answer;
  deadline_.arm_in(limits::kIdleBody);
  if (made.generation) {
    begin_generation(std::move(*made.generation));
  } else {
    send(made);
  }
}

// --- the answer ---

// Up to and without the framing fields' blank line.
std::string SampleServer::Connection::head(int status, std::string_view type) const {
  std::string out("HTTP/1.1 ");
  out.append(std::to_string(status)).append(" ").append(http::reason_phrase(status));
  out.append("\r\nDate: ")
      .append(http_date(std::chrono::system_clock::now()))
      .append("\r\nServer: leat-sample\r\n");
  out.append("Content-Type: ").append(type).append("\r\n");
  if (last_) out.append("Connection: close\r\n");
  return out;
}

void SampleServer::Connection::send(const SampleAnswer& made) {
  std::string out = head(made.status, made.content_type);
  if (!made.allow.empty()) out.append("Allow: ").append(made.allow).append("\r\n");
  out.append("Content-Length: ").append(std::to_string(made.body.size())).append("\r\n\r\n");
  if (request_.method != "HEAD") out.append(made.body);
  write(out);
  answered_ = true;
}

void SampleServer::Connection::refuse(const SampleAnswer& made) {
  last_ = true;
  phase_ = Phase::answer;
  deadline_.arm_in(kLinger);
  send(made);
}

void SampleServer::Connection::begin_generation(Generation generation) {
  if (generation.streamed()) {
    const bool chunked = request_.minor == 1;
    last_ = last_ || !chunked;
    std::string out = head(200, generation.content_type());
    out.append("Cache-Control: no-cache\r\n");
    if (chunked) out.append("Transfer-Encoding: chunked\r\n");
    write(out.append("\r\n"));
  }
  generation_.emplace(std::move(generation));
  ++server_.generating_;
  next_token_ = server_.shard_.now();
  pace_.arm(next_token_);
}

void SampleServer::Connection::generate() {
  // What a slow client has not taken is not piled up here: the next token waits for the last one.
  paused_ = !writer_.flush(*transport_);
  if (paused_) return;
  const std::string piece = generation_->next(unix_us());
  if (generation_->streamed()) {
    write(request_.minor == 1 ? chunk(piece) : piece);
  } else if (generation_->finished()) {
    send({.content_type = generation_->content_type(), .body = piece});
  }
  deadline_.arm_in(limits::kIdleBody);
  if (generation_->finished()) {
    end_answer();
    return advance();
  }
  const auto interval = std::chrono::duration<double>(1 / server_.options_.tokens_per_second);
  next_token_ =
      std::max(next_token_ + std::chrono::duration_cast<Duration>(interval), server_.shard_.now());
  pace_.arm(next_token_);
}

void SampleServer::Connection::end_answer() {
  if (generation_->streamed() && request_.minor == 1) write("0\r\n\r\n");
  generation_.reset();
  --server_.generating_;
  answered_ = true;
}

SampleServer::Connection::Step SampleServer::Connection::watch_answer() {
  const bool sent = writer_.flush(*transport_);
  if (writer_.failed()) return close();
  if (answered_ && sent) {
    phase_ = last_ ? Phase::linger : Phase::head;
    if (last_) transport_->finish();
    deadline_.arm_in(last_ ? Duration(kLinger) : Duration(limits::kIdleConnection));
    return Step::on;
  }
  // A client that has gone reads no answer; one that refuse() answers may still be sending.
  if (!answered_ && reader_.peer_gone(*transport_)) return close();
  if (sent && std::exchange(paused_, false)) generate();
  return Step::wait;
}

// What still arrives is read and dropped, for closing on it would reset the connection and could
// take the answer away from the client (RFC 9112 §9.6).
SampleServer::Connection::Step SampleServer::Connection::linger() {
  std::array<std::uint8_t, 16 * 1024> buffer;
  switch (transport_->read(buffer).status) {
    case net::IoStatus::ok:
      return Step::on;
    case net::IoStatus::would_block:
      return Step::wait;
    case net::IoStatus::end:
    case net::IoStatus::failed:
      break;
  }
  return close();
}

}  // namespace leat::cli
