// The line scanner that every head and trailer section passes before anything interprets it
// (threats 10 and 11): each line ends CRLF, no bare CR or LF, no NUL or other control character,
// field names are tokens with the colon right behind, no folding, a bounded number of fields. Each
// byte is looked at once, whatever the chunking.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace leat::http {

class LineScanner {
 public:
  enum class Result : std::uint8_t { more, end, bad, too_many };

  static LineScanner head() { return LineScanner(At::start); }
  static LineScanner trailers() { return LineScanner(At::line); }

  // Takes `used` bytes of `in`: all of them, or up to and with the blank line that ends the
  // section, or up to the byte that is wrong.
  Result feed(Bytes in, std::size_t& used);

  bool ended() const { return at_ == At::end; }
  std::uint32_t fields() const { return fields_; }
  const char* why() const { return why_; }  // after bad

 private:
  // start -> start_line -> line_lf -> line -> name -> value -> line_lf
  //                                    '-> last_lf -> end
  enum class At : std::uint8_t { start, start_line, line, name, value, line_lf, last_lf, end };

  explicit LineScanner(At at) : at_(at) {}
  Result bad(const char* why);

  At at_;
  std::uint32_t fields_ = 0;
  const char* why_ = "";
};

}  // namespace leat::http
