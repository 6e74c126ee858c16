// Reads heads and bodies from text, whole or cut into pieces, and reports everything a caller can
// see.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/body.h"
#include "http/head.h"

namespace leat::http::testing {

inline constexpr std::string_view kRequest = "(request)";

// What came of feeding one head. `used` counts what the reader consumed, so what follows a head is
// compared too.
struct HeadResult {
  HeadReader::State state = HeadReader::State::more;
  HeadError error = HeadError::none;
  std::string why;
  std::size_t used = 0;
  std::string serialised;  // of the parsed message
  std::optional<Request> request;
  std::optional<Response> response;

  bool ok() const { return request || response; }
  friend bool operator==(const HeadResult& a, const HeadResult& b) {
    return a.state == b.state && a.error == b.error && a.why == b.why && a.used == b.used &&
           a.serialised == b.serialised;
  }
};

// `method` is that of the request a response belongs to, or kRequest to read a request.
inline HeadResult read_head(const std::vector<std::string_view>& pieces, std::string_view method) {
  HeadReader reader;
  HeadResult result;
  for (const std::string_view piece : pieces) {
    std::size_t used = 0;
    result.state = reader.feed(as_bytes(piece), used);
    result.used += used;
    if (result.state != HeadReader::State::more) break;
  }
  if (result.state == HeadReader::State::done) {
    if (method == kRequest) {
      result.request = reader.take_request();
      if (result.request) serialise(*result.request, result.serialised);
    } else {
      result.response = reader.take_response(method);
      if (result.response) serialise(*result.response, result.serialised);
    }
  }
  result.error = reader.error();
  result.why = reader.why();
  return result;
}

inline HeadResult read_request(std::string_view text) { return read_head({text}, kRequest); }
inline HeadResult read_response(std::string_view text, std::string_view method = "GET") {
  return read_head({text}, method);
}

struct BodyResult {
  BodyScanner::State state = BodyScanner::State::more;
  std::size_t used = 0;
  std::string forwarded;  // trailers included
  bool complete_at_close = false;

  friend bool operator==(const BodyResult&, const BodyResult&) = default;
};

inline BodyResult read_body(const std::vector<std::string_view>& pieces, BodyKind kind,
                            std::uint64_t length = 0) {
  BodyScanner scanner(kind, length);
  BodyResult result;
  for (const std::string_view piece : pieces) {
    std::size_t used = 0, forward = 0;
    result.state = scanner.feed(as_bytes(piece), used, forward);
    result.used += used;
    result.forwarded.append(piece.substr(0, forward));
    if (result.state != BodyScanner::State::more) break;
  }
  result.forwarded.append(scanner.trailers());
  result.complete_at_close = scanner.complete_at_close();
  return result;
}

inline std::vector<std::string_view> split_at(std::string_view text, std::size_t at) {
  return {text.substr(0, at), text.substr(at)};
}

inline std::vector<std::string_view> single_bytes(std::string_view text) {
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < text.size(); ++i) pieces.push_back(text.substr(i, 1));
  return pieces;
}

}  // namespace leat::http::testing
