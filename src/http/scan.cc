#include "http/scan.h"

#include "base/limits.h"
#include "http/chars.h"

namespace leat::http {

using detail::is;

LineScanner::Result LineScanner::bad(const char* why) {
  why_ = why;
  return Result::bad;
}

LineScanner::Result LineScanner::feed(Bytes in, std::size_t& used) {
  std::size_t& i = used;
  for (i = 0; i < in.size(); ++i) {
    const std::uint8_t c = in[i];
    switch (at_) {
      case At::start:
        if (!is(detail::kToken, c)) return bad("the start line does not begin with a token");
        at_ = At::start_line;
        break;

      case At::start_line:
      case At::value:
        if (is(detail::kText, c)) break;
        if (c != '\r') return bad("control character in a line");
        at_ = At::line_lf;
        break;

      case At::line_lf:
        if (c != '\n') return bad("CR without LF");
        at_ = At::line;
        break;

      case At::line:
        if (c == '\r') {
          at_ = At::last_lf;
          break;
        }
        if (c == ' ' || c == '\t') return bad("folded field line");
        if (!is(detail::kToken, c)) return bad("field line does not begin with a name");
        if (fields_ == limits::kHeaderFields) return Result::too_many;
        ++fields_;
        at_ = At::name;
        break;

      case At::name:
        if (is(detail::kToken, c)) break;
        if (c != ':') return bad("field name is not a token followed by a colon");
        at_ = At::value;
        break;

      case At::last_lf:
        if (c != '\n') return bad("CR without LF");
        at_ = At::end;
        ++i;
        return Result::end;

      case At::end:
        return Result::end;
    }
  }
  return at_ == At::end ? Result::end : Result::more;
}

}  // namespace leat::http
