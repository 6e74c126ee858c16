// Length-delimited protobuf on a stream: a varint length, then the message (docs/protocol.md §3.1).
// Sans-I/O; an incomplete message is not an error, one beyond the limit is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace google::protobuf {
class MessageLite;
}

namespace leat::control {

void append_message(const google::protobuf::MessageLite& message, std::string& out);

// Collects one message at a time.
class MessageReader {
 public:
  explicit MessageReader(std::size_t limit) : limit_(limit) {}

  enum class State : std::uint8_t { more, done, error };
  // Consumes one message at most; `used` says how much of `in` that was. After `done`, parse() and
  // go on with the rest.
  State feed(Bytes in, std::size_t& used);
  // False if the bytes are not such a message. Makes the reader ready for the next one.
  bool parse(google::protobuf::MessageLite& message);

 private:
  std::size_t limit_;
  std::size_t length_ = 0;
  unsigned shift_ = 0;
  bool have_length_ = false;
  std::string body_;
};

}  // namespace leat::control
