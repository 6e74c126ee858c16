// The load generator as an HTTP service and its reader. `GET …/answer` gets a small body at once;
// `GET …/events?every_us=N&bytes=N&seed=N` gets server-sent events for ever, each a token: its
// number and the time at which it came into being in decimal, then content in hexadecimal, `bytes`
// in all with its blank line. `/bulk?seed=N&sample=N` is bulk in bodies that do not end: GET gets a
// download, and to POST it is an upload, whose reports are the answer's body (wire.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "load/body.h"
#include "load/flows.h"
#include "load/loop.h"

namespace leat::bench {

// "Hello" of the small answer, which a Caller expects.
std::string_view small_body();

// Serves requests on one connection, one at a time.
class HttpService final : public Flow {
 public:
  // `begun`: what has been read of the first request.
  HttpService(int fd, std::string begun) : Flow(fd), head_(std::move(begun)) {}
  std::uint32_t wanted() const override { return EPOLLIN; }
  void on_start(std::int64_t) override { answer_all(); }
  void on_ready(std::uint32_t events) override;

 private:
  void answer_all();
  void answer_bulk(const Request& request);

  std::string head_;
};

inline constexpr std::size_t kSmallestEvent = 64;

// The event of a token, for `request.token_bytes` of 64 or more.
std::string event_text(const Request& request, const TokenHead& head);

class EventSender final : public TokenSender {
 public:
  EventSender(int fd, const Request& request) : TokenSender(fd, request, nullptr) {}

 private:
  void append(const TokenHead& head, std::vector<std::uint8_t>& out) override;
};

// Reads the events of one answer, whose request has been sent.
class EventReceiver final : public Flow {
 public:
  EventReceiver(int fd, const Request& request, std::shared_ptr<TokenLog> log)
      : Flow(fd), request_(request), log_(std::move(log)) {}
  std::uint32_t wanted() const override { return EPOLLIN; }
  void on_ready(std::uint32_t events) override;

 private:
  bool take(std::string_view event, std::int64_t now);

  Request request_;
  AnswerReader answer_;
  std::string partial_;
  std::uint64_t expected_ = 0;
  std::shared_ptr<TokenLog> log_;
};

// The request for the events of `request` below `path` (ends in '/').
std::string events_request(const std::string& path, const Request& request);

// Asks for the bulk of `request` below `path` and waits for the answer's head. Then the connection
// is as behind a Request: bodies go their own way. False: another answer, or none in time.
bool begin_bulk(int fd, const std::string& path, const Request& request);

}  // namespace leat::bench
