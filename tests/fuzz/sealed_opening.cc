// How the session inside begins (docs/protocol.md §8.2), against a peer gone mad. The first byte
// chooses who listens: the agent hears an open, or the client what answers it; as they come, or
// laid over a genuine chunk. The second byte is the size of the pieces. What either makes of it is
// told once more here, from the whole of it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "net/link_chunk.h"
#include "sealed/opening.h"

namespace {

using namespace leat;
using namespace leat::sealed;

constexpr std::size_t kHeader = limits::kChunkHeader, kOpen = 30, kOpened = 24, kSession = 16;

void require(bool holds) {
  if (!holds) std::abort();
}

template <typename Reader>
struct Heard {
  typename Reader::State state = Reader::State::more;
  std::size_t used = 0;
  Error error{Code::PROTOCOL, {}};
};

template <typename Reader>
Heard<Reader> hear(Bytes in, std::size_t step) {
  Reader reader;
  Heard<Reader> out;
  while (!in.empty() && out.state == Reader::State::more) {
    const Bytes piece = in.first(std::min(step, in.size()));
    std::size_t used = 0;
    out.state = reader.feed(piece, used);
    require(used <= piece.size());
    require(used == piece.size() || out.state != Reader::State::more);
    out.used += used;
    in = in.subspan(used);
  }
  out.error = reader.error();
  return out;
}

// The same whatever arrives together.
template <typename Reader>
Heard<Reader> hear_twice(Bytes in, std::size_t step) {
  const auto pieces = hear<Reader>(in, step), whole = hear<Reader>(in, in.size());
  require(pieces.state == whole.state && pieces.used == whole.used);
  require(pieces.error.code == whole.error.code && pieces.error.detail == whole.error.detail);
  return whole;
}

bool zeros(Bytes bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

bool begins(Bytes in, std::string_view with) { return as_chars(in).starts_with(with); }

void agent_hears(Bytes in, std::size_t step) {
  using State = OpenReader::State;
  const auto heard = hear_twice<OpenReader>(in, step);
  State expected = State::error;
  if (in.size() < kHeader) {
    expected = State::more;
  } else if (begins(in, open_chunk().substr(0, kHeader))) {
    const Bytes body = in.subspan(kHeader);
    if (body.size() < kOpen) {
      expected = State::more;
    } else if (body[0] == 1 && body[1] == 1) {
      expected = State::resume;
    } else if (body[0] == 1 && zeros(body.subspan(1, kOpen - 1))) {
      expected = State::fresh;
    } else if (body[0] != 1) {
      require(heard.error.code == Code::VERSION_MISMATCH);
    }
  }
  require(heard.state == expected);
  const bool taken = expected == State::fresh || expected == State::resume;
  require(!taken || heard.used == kHeader + kOpen);
}

void client_hears(Bytes in, std::size_t step) {
  using State = OpenedReader::State;
  const auto heard = hear_twice<OpenedReader>(in, step);
  const std::size_t size = in.size() < kHeader ? 0 : net::load_header(in.data()).length;
  const bool whole = in.size() >= kHeader + size;
  if (in.size() < kHeader) return require(heard.state == State::more);
  if (begins(in, opened_chunk({}).substr(0, kHeader))) {
    const State judged = whole && zeros(in.subspan(kHeader + kSession, kOpened - kSession))
                             ? State::opened
                             : State::error;
    require(heard.state == (whole ? judged : State::more));
    return require(heard.state != State::opened || heard.used == kHeader + kOpened);
  }
  require(heard.state != State::opened);
  if (heard.state == State::more) return require(!whole);
  // A close of a code we know says that one; all else is the peer's fault.
  std::string code, text;
  const bool close = net::load_header(in.data()).kind == net::ChunkKind::close && whole &&
                     net::parse_close(in.subspan(kHeader, size), code, text);
  const auto known = close ? code_from_name(code) : std::nullopt;
  require(heard.error.code == known.value_or(Code::PROTOCOL));
  require(!known || (heard.error.detail == text && heard.used == kHeader + size));
}

std::string lay_over(std::string chunk, Bytes in) {
  for (std::size_t i = 0; i < std::min(in.size(), chunk.size()); ++i) {
    chunk[i] = static_cast<char>(chunk[i] ^ in[i]);
  }
  return chunk + "what follows";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Bytes in(data + 2, size - 2);
  const std::size_t step = data[1] + std::size_t{1};
  switch (data[0] % 5) {
    case 0:
      agent_hears(in, step);
      break;
    case 1:
      client_hears(in, step);
      break;
    case 2:
      agent_hears(as_bytes(lay_over(open_chunk(), in)), step);
      break;
    case 3:
      client_hears(as_bytes(lay_over(opened_chunk({1, 2, 3}), in)), step);
      break;
    case 4:
      client_hears(as_bytes(lay_over(close_chunk({Code::REVOKED, "phone"}), in)), step);
      break;
  }
  return 0;
}
