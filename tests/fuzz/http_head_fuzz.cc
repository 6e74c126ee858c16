// Heads: chunking changes nothing; what is accepted holds no byte that could split it, is written
// and read again the same, before and after forwarding; its target has one canonical form. Choice
// byte: bit 0 a response, bit 1 to HEAD.
#include "http/head.h"
#include "http/proxy.h"
#include "http_fuzz.h"

namespace leat {
namespace {

using fuzz::require;
using http::HeadReader;

struct Result {
  HeadReader::State state = HeadReader::State::more;
  http::HeadError error{};
  std::size_t used = 0;
  std::optional<http::Request> request;
  std::optional<http::Response> response;
  std::string text;
};

Result read(const std::vector<Bytes>& pieces, std::uint8_t choice) {
  HeadReader reader;
  Result r;
  for (const Bytes piece : pieces) {
    std::size_t used = 0;
    r.state = reader.feed(piece, used);
    require(used <= piece.size());
    r.used += used;
    if (r.state != HeadReader::State::more) break;
    require(used == piece.size() && reader.held() == r.used);
  }
  if (r.state == HeadReader::State::done) {
    if ((choice & 1) == 0) {
      r.request = reader.take_request();
      if (r.request) serialise(*r.request, r.text);
    } else {
      r.response = reader.take_response((choice & 2) != 0 ? "HEAD" : "GET");
      if (r.response) serialise(*r.response, r.text);
    }
  }
  r.error = reader.error();
  require((r.error != http::HeadError::none) ==
          (r.state == HeadReader::State::error ||
           (r.state == HeadReader::State::done && !r.request && !r.response)));
  return r;
}

void require_same(const Result& a, const Result& b) {
  require(a.state == b.state && a.error == b.error && a.used == b.used && a.text == b.text);
}

void check_fields(const http::Fields& fields) {
  for (const http::Field& f : fields.all()) {
    require(http::valid_field_name(f.name) && http::valid_field_value(f.value));
  }
}

template <typename Message>
void check_message(Message message, const std::string& text, std::uint8_t choice) {
  check_fields(message.fields);
  const Result again = read({as_bytes(text)}, choice);
  require(again.text == text && again.used == text.size());

  http::forward(message);
  std::string forwarded;
  serialise(message, forwarded);
  const Result next = read({as_bytes(forwarded)}, choice);
  require(next.text == forwarded && next.used == forwarded.size());
  const http::Fields& fields = next.request ? next.request->fields : next.response->fields;
  require(fields.count("Content-Length") + fields.count("Transfer-Encoding") <= 1);
}

}  // namespace
}  // namespace leat

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace leat;
  if (size == 0) return 0;
  const std::uint8_t choice = data[0];
  const Bytes bytes(data + 1, size - 1);
  const Result whole = read({bytes}, choice);
  require_same(whole, read(fuzz::pieces(bytes, true), choice));
  require_same(whole, read(fuzz::pieces(bytes, false), choice));
  if (whole.response) check_message(*whole.response, whole.text, choice);
  if (whole.request) {
    check_message(*whole.request, whole.text, choice);
    if (const auto canonical = http::canonical_target(whole.request->target)) {
      require(http::canonical_target(*canonical) == canonical);
    }
  }
  return 0;
}
