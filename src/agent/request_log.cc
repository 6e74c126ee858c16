#include "agent/request_log.h"

#include <utility>

#include "base/log.h"

namespace leat::agent {

std::string RequestLine::path_of(std::string_view target) {
  return std::string(target.substr(0, target.find('?')).substr(0, limits::kRequestPath));
}

RequestLog::RequestLog(net::Shard& shard)
    : shard_(shard), later_(shard, [this] { tell_left_out(); }) {}

void RequestLog::note(RequestLine line) {
  ++count_;
  if (lines_.take(1, shard_.now())) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(line.took).count();
    log::info("request", {{"tunnel", line.tunnel},
                          {"request_id", line.request_id},
                          {"method", line.method},
                          {"path", line.path},
                          {"status", line.status},
                          {"ms", ms},
                          {"bytes", line.bytes},
                          {"end", line.whole ? "whole" : "cut"}});
  } else {
    ++left_out_;
    if (!later_.armed()) later_.arm_in(std::chrono::seconds(1));
  }
  last_.push_front(std::move(line));
  if (last_.size() > limits::kRequestsKept) last_.pop_back();
}

void RequestLog::tell_left_out() {
  log::info("requests.left_out", {{"count", std::exchange(left_out_, 0)}});
}

}  // namespace leat::agent
