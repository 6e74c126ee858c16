// The content of a message body whose framing has been validated (net::HttpReader forwards bodies
// with their framing, because a tunnel must). For the two ends that want the content itself: the
// sample server and the demo's client.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/head.h"

namespace leat::cli {

class Dechunker {
 public:
  explicit Dechunker(http::BodyKind kind = http::BodyKind::none)
      : state_(kind == http::BodyKind::chunked ? State::size : State::plain) {}

  // Appends the content in `framed`, which may be cut anywhere.
  void feed(std::string_view framed, std::string& content);

 private:
  enum class State : std::uint8_t { plain, size, size_end, data, data_end, trailer };
  State state_;
  std::uint64_t left_ = 0;  // of the chunk: its size while that is read, then what is to come
};

}  // namespace leat::cli
