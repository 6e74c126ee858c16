// Bodies: chunking changes nothing, and what is forwarded of a complete chunked body is a complete
// chunked body that passes unchanged. Choice byte: 0 chunked, else a length.
#include "http/body.h"
#include "http_fuzz.h"

namespace leat {
namespace {

using fuzz::require;
using http::BodyScanner;

struct Result {
  BodyScanner::State state = BodyScanner::State::more;
  std::size_t used = 0;
  std::string forwarded;
  friend bool operator==(const Result&, const Result&) = default;
};

Result read(const std::vector<Bytes>& pieces, std::uint8_t length) {
  BodyScanner scanner(length == 0 ? http::BodyKind::chunked : http::BodyKind::length, length);
  Result r;
  for (const Bytes piece : pieces) {
    std::size_t used = 0, forward = 0;
    r.state = scanner.feed(piece, used, forward);
    require(forward <= used && used <= piece.size());
    require(r.state != BodyScanner::State::more || used == piece.size());
    r.used += used;
    r.forwarded.append(as_chars(piece.first(forward)));
    if (r.state != BodyScanner::State::more) break;
  }
  r.forwarded.append(scanner.trailers());
  require((r.state == BodyScanner::State::done) == scanner.done());
  require(scanner.complete_at_close() == scanner.done());
  return r;
}

}  // namespace
}  // namespace leat

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace leat;
  if (size == 0) return 0;
  const Bytes bytes(data + 1, size - 1);
  const Result whole = read({bytes}, data[0]);
  require(read(fuzz::pieces(bytes, true), data[0]) == whole);
  require(read(fuzz::pieces(bytes, false), data[0]) == whole);
  if (data[0] == 0 && whole.state == BodyScanner::State::done) {
    const Result again = read({as_bytes(whole.forwarded)}, 0);
    require(again.state == BodyScanner::State::done && again.forwarded == whole.forwarded);
  }
  return 0;
}
