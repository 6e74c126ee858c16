#include "http/body.h"

#include <algorithm>

#include "base/limits.h"
#include "http/chars.h"
#include "http/trailers.h"

namespace leat::http {

BodyScanner::BodyScanner(BodyKind kind, std::uint64_t length)
    : kind_(kind),
      done_(kind == BodyKind::none || (kind == BodyKind::length && length == 0)),
      left_(kind == BodyKind::length ? length : 0) {}

bool BodyScanner::complete_at_close() const { return done_ || kind_ == BodyKind::until_close; }

BodyScanner::State BodyScanner::feed(Bytes in, std::size_t& used, std::size_t& forward) {
  used = forward = 0;
  if (failed_) return State::error;
  if (done_) return State::done;
  if (kind_ == BodyKind::chunked) return feed_chunked(in, used, forward);
  used = in.size();
  if (kind_ == BodyKind::length) {
    used = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
    left_ -= used;
    done_ = left_ == 0;
  }
  forward = used;
  return done_ ? State::done : State::more;
}

BodyScanner::State BodyScanner::feed_chunked(Bytes in, std::size_t& used, std::size_t& forward) {
  while (used < in.size() && chunk_ != Chunk::trailer) {
    if (chunk_ == Chunk::data) {
      const std::size_t n = std::min<std::uint64_t>(left_, in.size() - used);
      used += n;
      left_ -= n;
      if (left_ == 0) chunk_ = Chunk::data_cr;
    } else if (step(in[used])) {
      ++used;
    } else {
      forward = used;
      failed_ = true;
      return State::error;
    }
  }
  forward = used;
  return chunk_ == Chunk::trailer ? feed_trailer(in, used) : State::more;
}

bool BodyScanner::step(std::uint8_t c) {
  constexpr int kMaxDigits = static_cast<int>(limits::kChunkLine) - 2;
  switch (chunk_) {
    case Chunk::size:
      if (const int digit = detail::hex_value(c); digit >= 0) {
        left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
        // Whoever counts in 64 bits behind us can shift and add to 56; nginx refuses 60.
        return ++digits_ <= kMaxDigits && left_ >> 56 == 0;
      }
      chunk_ = Chunk::size_lf;
      return c == '\r' && digits_ > 0;
    case Chunk::size_lf:
      chunk_ = left_ == 0 ? Chunk::trailer : Chunk::data;
      digits_ = 0;
      return c == '\n';
    case Chunk::data_cr:
      chunk_ = Chunk::data_lf;
      return c == '\r';
    case Chunk::data_lf:
      chunk_ = Chunk::size;
      return c == '\n';
    case Chunk::data:
    case Chunk::trailer:
      break;
  }
  return false;
}

BodyScanner::State BodyScanner::feed_trailer(Bytes in, std::size_t& used) {
  const std::size_t room = limits::kTrailers - trailer_buffer_.size();
  const Bytes rest = in.subspan(used, std::min(in.size() - used, room));
  std::size_t scanned = 0;
  const LineScanner::Result result = scanner_.feed(rest, scanned);
  used += scanned;
  trailer_buffer_.append(as_chars(rest.first(scanned)));
  if (result == LineScanner::Result::end) {
    trailers_ = filter_trailers(trailer_buffer_);
    trailer_buffer_ = {};
    done_ = true;
    return State::done;
  }
  failed_ = result != LineScanner::Result::more || trailer_buffer_.size() == limits::kTrailers;
  return failed_ ? State::error : State::more;
}

}  // namespace leat::http
