#include "http/check.h"

#include <charconv>
#include <limits>

#include "http/chars.h"

namespace leat::http {
namespace {

// "HTTP/1.0" or "HTTP/1.1": the minor version, or -1.
int minor_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  return -1;
}

// RFC 9112 §6.2 allows any number of digits. Values beyond a signed 64-bit integer are refused,
// because somebody behind us may count in one.
bool parse_length(std::string_view text, std::uint64_t& length) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  return error == std::errc() && end == text.data() + text.size() &&
         length <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

// RFC 9112 §6.3, but where it lets a recipient repair or prefer something, we refuse.
Verdict framing(const Fields& fields, int minor, BodyKind& body, std::uint64_t& length) {
  body = BodyKind::none;
  length = 0;
  const std::string* coding = nullptr;
  const std::string* content_length = nullptr;
  for (const Field& field : fields.all()) {
    if (iequal(field.name, "Transfer-Encoding")) {
      if (coding != nullptr) return Verdict::bad("more than one Transfer-Encoding");
      coding = &field.value;
    } else if (iequal(field.name, "Content-Length")) {
      if (content_length != nullptr) return Verdict::bad("more than one Content-Length");
      content_length = &field.value;
    }
  }
  if (coding != nullptr) {
    if (content_length != nullptr) return Verdict::bad("Content-Length with Transfer-Encoding");
    if (minor == 0) return Verdict::bad("Transfer-Encoding in HTTP/1.0");
    if (!iequal(*coding, "chunked")) return Verdict::bad("Transfer-Encoding other than chunked");
    body = BodyKind::chunked;
  } else if (content_length != nullptr) {
    if (!parse_length(*content_length, length)) return Verdict::bad("invalid Content-Length");
    body = BodyKind::length;
  }
  return {};
}

// RFC 9112 §9.3.
bool persists(const Fields& fields, int minor) {
  if (fields.has_token("Connection", "close")) return false;
  return minor == 1 || fields.has_token("Connection", "keep-alive");
}

bool has_element(const Fields& fields, std::string_view name) {
  for (const Field& field : fields.all()) {
    if (iequal(field.name, name) && any_element(field.value, [](auto) { return true; })) {
      return true;
    }
  }
  return false;
}

bool asks_upgrade(const Fields& fields) {
  return fields.has_token("Connection", "upgrade") && has_element(fields, "Upgrade");
}

}  // namespace

Verdict parse_request_line(std::string_view line, Request& request) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) {
    return Verdict::bad("request line without three parts");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  request.minor = minor_version(line.substr(last + 1));
  if (request.minor < 0) return Verdict::bad("version other than HTTP/1.0 and HTTP/1.1");
  if (!is_token(method)) return Verdict::bad("method is not a token");
  if (target.empty() || !detail::all(detail::kTargetChar, target)) {
    return Verdict::bad("invalid character in the request target");
  }
  if (method == "CONNECT") return {HeadError::not_a_proxy, "CONNECT"};
  if (target.front() != '/' && !(target == "*" && method == "OPTIONS")) {
    const std::size_t scheme = target.find("://");
    if (scheme != 0 && scheme != std::string_view::npos) {
      return {HeadError::not_a_proxy, "absolute-form target"};
    }
    return Verdict::bad("request target is not in origin form");
  }
  request.method = method;
  request.target = target;
  return {};
}

Verdict parse_status_line(std::string_view line, Response& response) {
  constexpr std::size_t kVersion = 8, kStatus = 12;  // "HTTP/1.1 200"
  response.minor = minor_version(line.substr(0, kVersion));
  if (response.minor < 0) return Verdict::bad("version other than HTTP/1.0 and HTTP/1.1");
  if (line.size() < kStatus || line[kVersion] != ' ') {
    return Verdict::bad("status line without a status");
  }
  const char* digits = line.data() + kVersion + 1;
  const auto [end, error] = std::from_chars(digits, digits + 3, response.status);
  if (error != std::errc() || end != digits + 3 || response.status < 100 || response.status > 599) {
    return Verdict::bad("status is not between 100 and 599");
  }
  // RFC 9112 §4 asks for the space even before an absent reason; many servers leave it out.
  if (line.size() > kStatus) {
    if (line[kStatus] != ' ') return Verdict::bad("status is not three digits");
    response.reason = line.substr(kStatus + 1);
  }
  return {};
}

Verdict check(Request& request) {
  const std::size_t hosts = request.fields.count("Host");
  if (hosts > 1) return Verdict::bad("more than one Host");
  if (hosts == 0 && request.minor == 1) return Verdict::bad("no Host");
  if (hosts == 1 && !valid_host(*request.fields.find("Host"))) return Verdict::bad("invalid Host");

  const Verdict verdict = framing(request.fields, request.minor, request.body, request.length);
  if (!verdict.ok()) return verdict;

  request.keep_alive = persists(request.fields, request.minor);
  // RFC 9110 §7.8: not in HTTP/1.0. HTTP/2 in the clear would carry requests past every check made
  // here, so an offer of h2c is one not heard.
  request.upgrade = request.minor == 1 && asks_upgrade(request.fields) &&
                    !request.fields.has_token("Upgrade", "h2c");
  if (request.upgrade && (request.body == BodyKind::chunked || request.length > 0)) {
    return Verdict::bad("Upgrade with a body");
  }
  // RFC 9110 §10.1.1: not in HTTP/1.0.
  request.expect_continue =
      request.minor == 1 && request.fields.has_token("Expect", "100-continue");
  return {};
}

Verdict check(Response& response, std::string_view request_method) {
  const Verdict verdict = framing(response.fields, response.minor, response.body, response.length);
  if (!verdict.ok()) return verdict;
  response.keep_alive = persists(response.fields, response.minor);

  const bool has_body = response.body == BodyKind::chunked || response.length > 0;
  if (response.status < 200) {
    // RFC 9112 §6.1, §6.2: never framed. A body here would be read as the next head.
    if (has_body) return Verdict::bad("interim response with a body");
    if (response.status == 101 && !asks_upgrade(response.fields)) {
      return Verdict::bad("101 without Connection: upgrade and Upgrade");
    }
    response.body = BodyKind::none;
    if (response.status == 101) response.keep_alive = false;
  } else if (response.status == 204) {
    // Whether its sender counts those bytes as body cannot be known: it has none, and nothing
    // follows.
    if (has_body) response.keep_alive = false;
    response.body = BodyKind::none;
  } else if (response.status == 304 || request_method == "HEAD") {
    response.body = BodyKind::none;
  } else if (response.body == BodyKind::none) {
    response.body = BodyKind::until_close;
    response.keep_alive = false;
  }
  if (response.body != BodyKind::length) response.length = 0;
  return {};
}

}  // namespace leat::http
