#include "load/http.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "base/limits.h"
#include "load/socket.h"

namespace leat::bench {
namespace {

constexpr std::size_t kLongestHead = 16 * limits::KiB;

// Of a body that nobody sees the end of; told, so that it needs no framing of its own.
std::string endless() { return "Content-Length: " + std::to_string(std::uint64_t{1} << 50); }

// A number of the query; 0 when it is not there.
std::uint64_t query(std::string_view target, std::string_view name) {
  for (std::size_t at = target.find_first_of("?&"); at != target.npos;) {
    const std::size_t next = target.find('&', at + 1);
    const std::string_view part = target.substr(at + 1, next - at - 1);
    at = next;
    if (!part.starts_with(name) || part.substr(name.size(), 1) != "=") continue;
    std::uint64_t value = 0;
    std::from_chars(part.data() + name.size() + 1, part.data() + part.size(), value);
    return value;
  }
  return 0;
}

std::string_view target_of(std::string_view head) {
  const std::string_view rest = head.substr(std::min(head.find(' ') + 1, head.size()));
  return rest.substr(0, rest.find(' '));
}

}  // namespace

std::string_view small_body() {
  return "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}],"
         "\"id\":0}";
}

// --- the service ---

void HttpService::on_ready(std::uint32_t) {
  const MutableBytes buffer = loop().scratch();
  const ssize_t n = ::recv(fd(), buffer.data(), buffer.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0 || head_.size() > kLongestHead) return loop().end(*this);
  head_.append(reinterpret_cast<const char*>(buffer.data()), static_cast<std::size_t>(n));
  answer_all();
}

void HttpService::answer_all() {
  for (std::size_t end; (end = head_.find("\r\n\r\n")) != head_.npos;) {
    const std::string head = head_.substr(0, end + 4);
    head_.erase(0, end + 4);
    const std::string_view target = target_of(head);
    if (target.find("/events") != target.npos) {
      const Request request{.kind = Kind::tokens,
                            .seed = query(target, "seed"),
                            .token_bytes = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
                                query(target, "bytes"), kSmallestEvent, Content::kBlock)),
                            .every_us = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
                                query(target, "every_us"), 10, 60'000'000))};
      send_small(fd(), as_bytes("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n"));
      Loop& here = loop();
      return here.add(std::make_unique<EventSender>(here.release(*this), request));
    }
    if (target.find("/bulk") != target.npos) {
      return answer_bulk({.kind = head.starts_with("POST") ? Kind::upload : Kind::download,
                          .sample = static_cast<std::uint32_t>(
                              std::clamp<std::uint64_t>(query(target, "sample"), 1, UINT32_MAX)),
                          .seed = query(target, "seed")});
    }
    const bool last =
        head.find("Connection: close") != head.npos || head.find("connection: close") != head.npos;
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
        std::to_string(small_body().size()) +
        (last ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n") + std::string(small_body());
    if (!send_small(fd(), as_bytes(answer)) || last) return loop().end(*this);
  }
}

void HttpService::answer_bulk(const Request& request) {
  const std::string answer =
      "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n" + endless() + "\r\n\r\n";
  if (!send_small(fd(), as_bytes(answer))) return loop().end(*this);
  Loop& here = loop();
  const int fd = here.release(*this);
  auto progress = std::make_shared<Progress>();
  if (request.kind == Kind::download) {
    here.add(std::make_unique<BulkSender>(fd, request, std::move(progress)));
  } else {
    here.add(std::make_unique<BulkReceiver>(fd, request, std::move(progress), true));
  }
}

// Hosts are `localhost`, which every door takes, the local one of `leat connect` too.
bool begin_bulk(int fd, const std::string& path, const Request& request) {
  const bool upload = request.kind == Kind::upload;
  std::string head =
      (upload ? "POST " : "GET ") + path + "bulk?seed=" + std::to_string(request.seed) +
      "&sample=" + std::to_string(request.sample) + " HTTP/1.1\r\nHost: localhost\r\n";
  if (upload) head += "Content-Type: application/octet-stream\r\n" + endless() + "\r\n";
  if (!send_small(fd, as_bytes(head + "\r\n"))) return false;
  // One at a time: what follows the head is the flow's.
  std::string answer;
  for (char byte = 0; !answer.ends_with("\r\n\r\n"); answer.push_back(byte)) {
    if (answer.size() > kLongestHead || !wait_readable(fd) || ::recv(fd, &byte, 1, 0) != 1) {
      return false;
    }
  }
  return answer.starts_with("HTTP/1.1 200 ");
}

// --- events ---

std::string event_text(const Request& request, const TokenHead& head) {
  char start[64];
  const int length = std::snprintf(start, sizeof start, "data: %llu %lld ",
                                   static_cast<unsigned long long>(head.sequence),
                                   static_cast<long long>(head.sent_ns));
  std::string text(start, static_cast<std::size_t>(length));
  const Bytes fill = Content(request.seed).at(head.sequence * Content::kBlock);
  for (std::size_t i = 0; text.size() < request.token_bytes - 2; ++i) {
    text.push_back("0123456789abcdef"[fill[i] & 15]);
  }
  return text + "\n\n";
}

void EventSender::append(const TokenHead& head, std::vector<std::uint8_t>& out) {
  char size[24];
  const std::string event = event_text(request(), head);
  const int length = std::snprintf(size, sizeof size, "%zx\r\n", event.size());
  out.insert(out.end(), size, size + length);
  out.insert(out.end(), event.begin(), event.end());
  out.insert(out.end(), {'\r', '\n'});
}

std::string events_request(const std::string& path, const Request& request) {
  return "GET " + path + "events?every_us=" + std::to_string(request.every_us) +
         "&bytes=" + std::to_string(request.token_bytes) + "&seed=" + std::to_string(request.seed) +
         " HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
}

void EventReceiver::on_ready(std::uint32_t) {
  const std::int64_t now = now_ns();
  const MutableBytes buffer = loop().scratch();
  const ssize_t n = ::recv(fd(), buffer.data(), buffer.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  const bool good =
      n > 0 && answer_.feed(buffer.first(static_cast<std::size_t>(n)), [&](Bytes body) {
        partial_.append(reinterpret_cast<const char*>(body.data()), body.size());
        std::size_t at = 0;
        for (; partial_.size() - at >= request_.token_bytes; at += request_.token_bytes) {
          if (!take(std::string_view(partial_).substr(at, request_.token_bytes), now)) return false;
        }
        partial_.erase(0, at);
        return true;
      });
  if (good) return;
  log_->ended = true;
  loop().end(*this);
}

bool EventReceiver::take(std::string_view event, std::int64_t now) {
  TokenHead head{.sequence = expected_};
  const std::string start = "data: " + std::to_string(expected_) + " ";
  if (event.starts_with(start)) {
    std::from_chars(event.data() + start.size(), event.data() + event.size(), head.sent_ns);
  }
  if (event != event_text(request_, head)) {
    log_->broken = true;
    return false;
  }
  ++expected_;
  log_->seen.push_back({head.sequence, head.sent_ns, now});
  return true;
}

}  // namespace leat::bench
