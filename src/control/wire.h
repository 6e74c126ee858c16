// Length-delimited protobuf on a stream: a varint length, then the message (docs/protocol.md §3.1).
// Sans-I/O; an incomplete message is not an error, one beyond the limit is.
//
// Templates over the generated classes, so that whoever only holds a reader includes nothing of
// protobuf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace leat::control {

void append_length(std::size_t length, std::string& out);

template <typename Message>
void append_message(const Message& message, std::string& out) {
  append_length(message.ByteSizeLong(), out);
  message.AppendToString(&out);
}

// Collects one message at a time.
class MessageReader {
 public:
  // `limit`: bytes of a message, its length not counted.
  explicit MessageReader(std::size_t limit) : limit_(limit) {}

  enum class State : std::uint8_t { more, done, error };
  // Consumes one message at most; `used` says how much of `in` that was. After `done`, parse() and
  // go on with the rest. Memory grows with what has come, not with what was announced.
  State feed(Bytes in, std::size_t& used);
  // False if the bytes are not such a message. Makes the reader ready for the next one.
  template <typename Message>
  bool parse(Message& message) {
    const bool good = message.ParseFromString(body_);
    reset();
    return good;
  }

 private:
  void reset();

  std::size_t limit_;
  std::size_t length_ = 0;
  unsigned shift_ = 0;
  bool have_length_ = false;
  std::string body_;
};

}  // namespace leat::control
