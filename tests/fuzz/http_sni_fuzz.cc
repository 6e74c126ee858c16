// ClientHellos: chunking changes nothing, and what is read out of one is fit to be compared and
// logged.
#include "http/head.h"
#include "http/sni.h"
#include "http_fuzz.h"

namespace leat {
namespace {

using fuzz::require;
using State = http::ClientHelloReader::State;

struct Result {
  State state = State::more;
  std::string name;
  std::vector<std::string> alpn;
  std::string why;
  friend bool operator==(const Result&, const Result&) = default;
};

Result read(const std::vector<Bytes>& pieces) {
  http::ClientHelloReader reader;
  Result r;
  for (const Bytes piece : pieces) {
    const std::size_t missing = r.state == State::more ? reader.missing() : 0;
    const bool before = r.state != State::done;
    r.state = reader.feed(piece);
    require(!before || r.state != State::done || piece.size() >= missing);
  }
  r.name = reader.hello().server_name;
  r.alpn = reader.hello().alpn;
  r.why = reader.why();
  return r;
}

}  // namespace
}  // namespace leat

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace leat;
  const Bytes bytes(data, size);
  const Result whole = read({bytes});
  require(read(fuzz::pieces(bytes, true)) == whole);
  require(read(fuzz::pieces(bytes, false)) == whole);
  if (whole.state == State::done && !whole.name.empty()) {
    require(http::valid_host(whole.name) && http::host_name(whole.name) == whole.name);
  }
  return 0;
}
