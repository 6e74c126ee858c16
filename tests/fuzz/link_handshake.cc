// The three chunks of the handshake against a stranger. The first byte chooses: the relay hears
// anything (and must never open), the agent hears anything, or the relay hears a genuine open with
// the rest of the input laid over it (and opens only if nothing was changed).
#include "net/link_handshake.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/signature.h"
#include "net/link_fixture.h"

namespace {

using namespace leat;
using namespace leat::net;

const SigningKey& key() {
  static const SigningKey signing_key = SigningKey::generate();
  return signing_key;
}

void require(bool holds) {
  if (!holds) std::abort();
}

// In pieces of `step`; `used` never exceeds what was offered, and an end is final.
template <typename Side>
auto hear(Side& side, Bytes in, std::size_t step) {
  auto state = Side::State::more;
  while (!in.empty() && state == Side::State::more) {
    const Bytes piece = in.first(std::min(step, in.size()));
    std::size_t used = 0;
    state = side.feed(piece, used);
    require(used <= piece.size());
    require(used == piece.size() || state != Side::State::more);
    in = in.subspan(used);
  }
  return state;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Bytes in(data + 2, size - 2);
  const std::size_t step = data[1] + std::size_t{1};
  const std::string binding(data[0] & 0x80 ? 32 : 0, 'b');
  switch (data[0] % 3) {
    case 0: {
      ServerHandshake server(binding);
      require(hear(server, in, step) != ServerHandshake::State::open);
      break;
    }
    case 1: {
      const auto resume = data[0] & 0x40 ? std::optional(SessionId{'s'}) : std::nullopt;
      ClientHandshake whole(key(), binding, resume, 0, resume ? 1 : 0);
      ClientHandshake pieces(key(), binding, resume, 0, resume ? 1 : 0);
      require(hear(whole, in, size) == hear(pieces, in, step));
      require(whole.take_output() == pieces.take_output());  // Ed25519 is deterministic
      require(whole.peer_received() == pieces.peer_received());
      break;
    }
    case 2: {
      ServerHandshake server(binding);
      ClientHandshake client(key(), binding, SessionId{'s'}, 7, 1);
      const std::string challenge = server.take_output();
      hear(client, as_bytes(challenge), step);
      std::string open = client.take_output();
      bool changed = false;
      for (std::size_t i = 0; i < std::min(in.size(), open.size()); ++i) {
        open[i] = static_cast<char>(open[i] ^ in[i]);
        changed = changed || in[i] != 0;
      }
      const auto state = hear(server, as_bytes(open), step);
      require((state == ServerHandshake::State::open) == !changed);
      break;
    }
  }
  return 0;
}
