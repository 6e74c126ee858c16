// What the agent's log says of HTTP requests: a line each, until they come faster than anybody
// reads; then some lines a second and how many were left out. Of a target only its path, since
// queries carry keys; nothing of fields and bodies.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

#include "base/limits.h"
#include "base/time.h"
#include "mux/abuse_guard.h"
#include "net/shard.h"

namespace leat::agent {

struct RequestLine {
  std::string tunnel, request_id, method;
  std::string path;  // as the service was asked, without query; its beginning, if it is long
  int status = 0;    // 0: none
  Duration took{0};
  std::uint64_t bytes = 0;  // of the answer's body
  bool whole = false;       // the answer came to its end

  // "/a/b" of "/a/b?c", at most limits::kRequestPath bytes.
  static std::string path_of(std::string_view target);
};

class RequestLog {
 public:
  explicit RequestLog(net::Shard& shard);

  void note(RequestLine line);
  std::uint64_t count() const { return count_; }                 // all so far
  const std::deque<RequestLine>& last() const { return last_; }  // the newest in front

 private:
  void tell_left_out();

  net::Shard& shard_;
  mux::TokenBucket lines_{limits::kRequestLines};
  std::deque<RequestLine> last_;
  std::uint64_t count_ = 0, left_out_ = 0;
  net::Timer later_;
};

}  // namespace leat::agent
