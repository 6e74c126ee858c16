#include "control/wire.h"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>

namespace leat::control {
namespace {

// A peer's malformed message is its mistake, told by parse(); protobuf would also print it, as
// often as the peer likes.
[[maybe_unused]] const auto silenced = google::protobuf::SetLogHandler(nullptr);

}  // namespace

void append_length(std::size_t length, std::string& out) {
  for (; length >= 0x80; length >>= 7) out += static_cast<char>(length | 0x80);
  out += static_cast<char>(length);
}

MessageReader::State MessageReader::feed(Bytes in, std::size_t& used) {
  used = 0;
  while (!have_length_) {
    if (used == in.size()) return State::more;
    const std::uint8_t byte = in[used++];
    length_ |= std::size_t{byte & 0x7fu} << shift_;
    // Refused while it grows, so that neither the shift nor the memory depends on what is claimed.
    if (length_ > limit_ || (byte == 0 && shift_ > 0)) return State::error;
    shift_ += 7;
    have_length_ = byte < 0x80;
    if (!have_length_ && (limit_ >> shift_) == 0) return State::error;
  }
  const std::size_t n = std::min(length_ - body_.size(), in.size() - used);
  body_ += as_chars(in.subspan(used, n));
  used += n;
  return body_.size() == length_ ? State::done : State::more;
}

void MessageReader::reset() {
  length_ = 0;
  shift_ = 0;
  have_length_ = false;
  body_.clear();
}

}  // namespace leat::control
