// Where a message body ends: a scanner that validates framing in place, so that body bytes are
// forwarded as they came, without being copied or re-framed (RFC 9112 §6, §7.1). Sans-I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "http/head.h"
#include "http/scan.h"

namespace leat::http {

class BodyScanner {
 public:
  enum class State : std::uint8_t {
    more,   // all of `in` belongs to the body; it goes on
    done,   // the body ended after `used` bytes
    error,  // the framing is broken after `used` good bytes: the message must be reset, not ended
  };

  BodyScanner() = default;  // no body: done at once
  BodyScanner(BodyKind kind, std::uint64_t length);

  // `used` bytes of `in` are validated body (framing bytes of chunked included) and may be
  // forwarded verbatim. Chunk extensions are refused (threat 10). In the trailer section used bytes
  // are NOT to be forwarded: see trailers(). Forwardable bytes of this call are the first `forward`
  // of `used`.
  State feed(Bytes in, std::size_t& used, std::size_t& forward);
  // Chunked only, after done: the bytes to send in place of the received trailer section: the
  // allowed trailer fields (no framing, routing or authentication fields, RFC 9110 §6.5.1) and the
  // final CRLF.
  const std::string& trailers() const { return trailers_; }

  bool done() const { return done_; }
  // The peer closed: right for until_close, a cut message for all others.
  bool complete_at_close() const;
  BodyKind kind() const { return kind_; }

 private:
  // size -> size_lf -> data -> data_cr -> data_lf -> size …, and size_lf -> trailer after the last
  // chunk
  enum class Chunk : std::uint8_t { size, size_lf, data, data_cr, data_lf, trailer };

  State feed_chunked(Bytes in, std::size_t& used, std::size_t& forward);
  State feed_trailer(Bytes in, std::size_t& used);
  // One byte of framing; false: it is wrong.
  bool step(std::uint8_t c);

  BodyKind kind_ = BodyKind::none;
  Chunk chunk_ = Chunk::size;
  bool done_ = true;
  bool failed_ = false;
  std::uint8_t digits_ = 0;
  std::uint64_t left_ = 0;
  LineScanner scanner_ = LineScanner::trailers();
  std::string trailer_buffer_;
  std::string trailers_;
};

}  // namespace leat::http
