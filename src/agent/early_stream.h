// An answer that begins before the service has: for a request that asks for server-sent events, a
// head and comment lines while the first token is awaited, so that nothing on the way takes silence
// for death (docs/adr/0015-what-the-agent-says-itself.md). What has been said cannot be taken back:
// what the service then answers, if it is not such a stream, is told as an event "error".
// Sans-I/O; all texts are chunks of a chunked body.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "http/head.h"

namespace leat::agent {

// Whether a JSON text is an object with "stream": true at its outermost level. Bytes are handed in
// as they come, in any chunking; memory is a few bytes.
class StreamFlag {
 public:
  void feed(Bytes json);
  bool found() const { return found_; }

 private:
  void byte(char c);

  enum class At : std::uint8_t { elsewhere, key, colon, value } at_ = At::elsewhere;
  int depth_ = 0;
  bool string_ = false, escaped_ = false, expects_key_ = false, found_ = false;
  std::string word_;  // of the string or literal that counts, as far as it can matter
};

class EarlyStream {
 public:
  // After the head of a request, before it is rewritten.
  explicit EarlyStream(const http::Request& request);

  // The service may be asked for this; false: never an early answer.
  bool possible() const { return asks_ != Asks::no; }
  // The service is not to compress what may have to follow our own lines.
  static void prepare(http::Request& request) { request.fields.remove("Accept-Encoding"); }
  void feed_body(Bytes body) {
    if (asks_ == Asks::by_body) flag_.feed(body);
  }
  // Once the whole request is with the service: it has asked for events.
  bool asked() const {
    return asks_ == Asks::by_accept || (asks_ == Asks::by_body && flag_.found());
  }

  bool begun() const { return begun_; }
  http::Response begin();
  static std::string comment();

  // What the service has answered is what was promised: its body follows.
  static bool keeps(const http::Response& response);
  // It has not; or there is none. The end of the body is included.
  static std::string failure(const http::Response& response);
  static std::string failure(Code code, std::string_view request_id);
  static std::string chunk(std::string_view text);
  static constexpr std::string_view kEnd = "0\r\n\r\n";

 private:
  enum class Asks : std::uint8_t { no, by_accept, by_body };
  Asks asks_ = Asks::no;
  StreamFlag flag_;
  bool begun_ = false;
};

}  // namespace leat::agent
