// WebSocket frames: chunking changes neither verdict nor complete messages, and messages that came
// through can be written and read again. Choice byte: bit 0 our role, the rest the message limit.
#include "http/websocket.h"
#include "http_fuzz.h"

namespace leat {
namespace {

using fuzz::require;
namespace ws = http::ws;
using Kind = ws::Event::Kind;

struct Result {
  std::string events;  // complete messages and control frames, in order
  std::uint16_t error = 0;
  std::string rewritten;  // the same, as the peer could have sent them
  friend bool operator==(const Result&, const Result&) = default;
};

Result read(const std::vector<Bytes>& pieces, ws::Role role, std::uint64_t limit) {
  ws::FrameReader reader(role, limit);
  const ws::MaskKey key = {1, 2, 3, 4};
  const ws::MaskKey* mask = role == ws::Role::server ? &key : nullptr;
  Result r;
  std::string message;
  for (const Bytes piece : pieces) {
    std::vector<std::uint8_t> copy(piece.begin(), piece.end());
    MutableBytes in(copy);
    for (;;) {
      std::size_t used = 0;
      const ws::Event e = reader.feed(in, used);
      require(used <= in.size());
      in = in.subspan(used);
      if (e.kind == Kind::none) {
        require(in.empty());
        break;
      }
      const std::string payload(as_chars(e.payload));
      r.events += static_cast<char>('0' + static_cast<int>(e.kind));
      switch (e.kind) {
        case Kind::data:
          r.events.pop_back();
          message += payload;
          require(message.size() <= limit);
          if (!e.end) break;
          r.events += (e.opcode == ws::Opcode::text ? 't' : 'b') + message + '\n';
          ws::append_frame(r.rewritten, e.opcode, as_bytes(message), mask);
          message.clear();
          break;
        case Kind::ping:
        case Kind::pong:
          r.events += payload;
          ws::append_frame(r.rewritten, e.kind == Kind::ping ? ws::Opcode::ping : ws::Opcode::pong,
                           e.payload, mask);
          break;
        case Kind::close:
          r.events += std::to_string(e.code) + payload;
          ws::append_close(r.rewritten, e.code, payload, mask);
          break;
        case Kind::error:
          r.error = e.code;
          return r;
        case Kind::none:
          break;
      }
    }
  }
  return r;
}

}  // namespace
}  // namespace leat

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace leat;
  if (size == 0) return 0;
  const ws::Role role = (data[0] & 1) == 0 ? ws::Role::server : ws::Role::client;
  const auto limit = static_cast<std::uint64_t>(data[0] >> 1) * 64;
  const Bytes bytes(data + 1, size - 1);
  const Result whole = read({bytes}, role, limit);
  require(read(fuzz::pieces(bytes, true), role, limit) == whole);
  require(read(fuzz::pieces(bytes, false), role, limit) == whole);
  const Result again = read({as_bytes(whole.rewritten)}, role, limit);
  require(again.error == 0 && again.rewritten == whole.rewritten);
  return 0;
}
