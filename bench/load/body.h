// What comes after an HTTP/1.1 request, as far as the load generator needs it: the head's status
// and framing, and the body's bytes, whether its length is given (RFC 9112 §6.2) or it is chunked
// (§7.1).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/bytes.h"

namespace leat::bench {

class AnswerReader {
 public:
  using Take = std::function<bool(Bytes)>;

  // Gives the body's bytes to `take`; false when the answer is none (also when its status is not
  // 200), when `take` says so, or when more came than one answer.
  bool feed(Bytes data, const Take& take);
  bool complete() const { return state_ == State::complete; }
  void begin() { *this = AnswerReader(); }

 private:
  enum class State : std::uint8_t { head, body, chunk_size, chunk, chunk_end, trailer, complete };

  bool read_head();
  bool read_line(Bytes& data);  // into line_, without its end; false while it is not whole

  State state_ = State::head;
  bool chunked_ = false;
  std::uint64_t left_ = 0;  // of the body or the chunk
  std::string line_;        // the head, or a line between chunks, as far as it has come
};

}  // namespace leat::bench
