#include "agent/early_stream.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "http/chars.h"

namespace leat::agent {
namespace {

// Where a POST whose JSON says "stream": true is answered by server-sent events: the APIs of OpenAI
// and Anthropic, which many servers speak. (Ollama's own streams lines of JSON.)
constexpr std::array<std::string_view, 4> kPaths = {"/chat/completions", "/completions",
                                                    "/responses", "/messages"};

constexpr std::size_t kTypeText = 100;

bool is_event_stream(std::string_view type) {
  return http::iequal(http::trim(type.substr(0, type.find(';'))), "text/event-stream");
}

bool known_path(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  return std::ranges::any_of(kPaths, [&](std::string_view end) { return path.ends_with(end); });
}

// A client that knows OpenAI's API finds the error where that has it.
std::string event(const nlohmann::json& error) {
  using Handler = nlohmann::json::error_handler_t;
  const nlohmann::json data = {{"error", error}};
  const std::string text = data.dump(-1, ' ', false, Handler::replace);
  return EarlyStream::chunk("event: error\ndata: " + text + "\n\n") +
         std::string(EarlyStream::kEnd);
}

}  // namespace

// --- "stream": true ---

void StreamFlag::feed(Bytes json) {
  for (const std::uint8_t each : json) {
    if (found_) return;
    byte(static_cast<char>(each));
  }
}

void StreamFlag::byte(char c) {
  if (string_) {
    if (escaped_) {
      escaped_ = false;
      word_ += '\\';
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      string_ = false;
      const bool counts = at_ == At::key && word_ == "stream";
      at_ = counts ? At::colon : At::elsewhere;
      word_.clear();
    } else if (at_ == At::key && word_.size() <= 6) {
      word_ += c;
    }
    return;
  }
  if (at_ == At::value && c >= 'a' && c <= 'z') {
    if (word_.size() <= 4) word_ += c;
    return;
  }
  switch (c) {
    case '"':
      string_ = true;
      at_ = depth_ == 1 && expects_key_ ? At::key : At::elsewhere;
      expects_key_ = false;
      word_.clear();
      return;
    case ':':
      at_ = at_ == At::colon ? At::value : At::elsewhere;
      return;
    case '{':
    case '[':
      ++depth_;
      expects_key_ = depth_ == 1 && c == '{';
      at_ = At::elsewhere;
      return;
    case ',':
    case '}':
    case ']':
      found_ = at_ == At::value && word_ == "true";
      if (c != ',') --depth_;
      expects_key_ = c == ',' && depth_ == 1;
      at_ = At::elsewhere;
      word_.clear();
      return;
    default:
      return;
  }
}

// --- the request ---

EarlyStream::EarlyStream(const http::Request& request) {
  if (request.minor == 0 || request.upgrade) return;
  const std::string* accept = request.fields.find("Accept");
  if (accept != nullptr && is_event_stream(*accept) && accept->find(',') == accept->npos &&
      (request.method == "GET" || request.method == "POST")) {
    asks_ = Asks::by_accept;
  } else if (request.method == "POST" && request.body == http::BodyKind::length &&
             known_path(request.target)) {
    asks_ = Asks::by_body;
  }
}

// --- the answer ---

http::Response EarlyStream::begin() {
  begun_ = true;
  http::Response response;
  response.status = 200;
  response.reason = http::reason_phrase(200);
  response.fields.add("Content-Type", "text/event-stream");
  response.fields.add("Cache-Control", "no-cache");
  response.fields.add("X-Accel-Buffering", "no");
  http::set_framing(response.fields, http::BodyKind::chunked, 0);
  return response;
}

std::string EarlyStream::comment() { return chunk(": waiting for the service\n\n"); }

bool EarlyStream::keeps(const http::Response& response) {
  const std::string* type = response.fields.find("Content-Type");
  const std::string* coding = response.fields.find("Content-Encoding");
  return response.status == 200 && type != nullptr && is_event_stream(*type) &&
         (coding == nullptr || http::iequal(*coding, "identity"));
}

std::string EarlyStream::failure(const http::Response& response) {
  nlohmann::json error = {
      {"code", info(Code::SERVICE_ANSWER).name},
      {"message", "the service answered " + std::to_string(response.status) +
                      ", which is not the event stream that was begun while it was awaited"},
      {"status", response.status}};
  if (const std::string* type = response.fields.find("Content-Type")) {
    error["content_type"] = type->substr(0, kTypeText);
  }
  return event(error);
}

std::string EarlyStream::failure(Code code, std::string_view request_id) {
  const CodeInfo& about = info(code);
  return event({{"code", about.name},
                {"message", about.meaning},
                {"next", about.next},
                {"request_id", request_id}});
}

std::string EarlyStream::chunk(std::string_view text) {
  std::array<char, 24> size;
  const int n = std::snprintf(size.data(), size.size(), "%zx\r\n", text.size());
  return std::string(size.data(), static_cast<std::size_t>(n)).append(text).append("\r\n");
}

}  // namespace leat::agent
