// The sealed handshake against a stranger. The first byte chooses the pattern and who listens: the
// agent hears anything, the client hears anything (neither may ever take it for authentic), or one
// of them hears a genuine unit with the rest of the input laid over it, and takes it only if
// nothing was changed. Every key is fixed, so that an input is a whole case.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "crypto/fixed.h"
#include "crypto/unit.h"

namespace {

using namespace leat;
using namespace leat::crypto;
using test::Buffer;

void require(bool holds) {
  if (!holds) std::abort();
}

Key named(std::string_view name) { return Key(sha256(as_bytes(name))); }

const test::Parties& parties() {
  static const test::Parties fixed{KeyPair(named("client")), KeyPair(named("agent")), named("psk")};
  return fixed;
}

struct Pair {
  explicit Pair(Pattern p)
      : pattern(p), client(parties().initiator(p)), agent(parties().responder(p)) {
    FixedEphemeral::set(client, named("client ephemeral"));
    FixedEphemeral::set(agent, named("agent ephemeral"));
  }
  Pattern pattern;
  Handshake client, agent;
};

Buffer unit(UnitKind kind, Handshake& writer) {
  Buffer out(kMaxUnit);
  const auto size = writer.write(as_bytes("payload"), std::span(out).subspan(kUnitHeader));
  out.resize(write_unit_header(out, kind, size.value()));
  return out;
}

// The unit as an owner would take it; whether it was authentic.
bool hear(Handshake& handshake, Pattern pattern, Role from, Bytes in) {
  const Unit whole = read_unit(in, from);
  // The same whatever arrives first, and decided no later than by the header.
  for (std::size_t n = 0; n < std::min(in.size(), kMaxUnit + 1); ++n) {
    const Unit part = read_unit(in.first(n), from);
    if (whole.state == Unit::State::bad) {
      require(part.state == (n < kUnitHeader ? Unit::State::more : Unit::State::bad));
    } else {
      const bool complete = whole.state == Unit::State::whole && n >= whole.size;
      require(part.state == (complete ? Unit::State::whole : Unit::State::more));
    }
  }
  if (whole.state != Unit::State::whole || whole.kind == UnitKind::refused) return false;
  require(whole.size <= in.size() && whole.size <= kMaxUnit);
  if (from == Role::initiator && whole.pattern() != pattern) return false;
  Buffer payload(kMaxPayload);
  const bool authentic = handshake.read(whole.body, payload).has_value();
  if (!authentic) {
    require(!handshake.read(whole.body, payload) && !handshake.write({}, payload));  // poisoned
    require(!std::move(handshake).finish(Suite::aesgcm, Time{}));
  }
  return authentic;
}

// Whether anything changed.
bool lay_over(Buffer& message, Bytes in) {
  bool changed = false;
  for (std::size_t i = 0; i < std::min(in.size(), message.size()); ++i) {
    message[i] ^= in[i];
    changed = changed || in[i] != 0;
  }
  return changed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes in(data + 1, size - 1);
  const Pattern pattern = data[0] & 0x80 ? Pattern::ik_psk2 : Pattern::ik;
  Pair pair(pattern);
  const bool to_client = data[0] % 2 != 0;
  Buffer hello = unit(hello_kind(pattern), pair.client);
  if (!to_client) {
    bool changed = true;
    if (data[0] & 2) {
      changed = lay_over(hello, in);
      require(hear(pair.agent, pattern, Role::initiator, hello) == !changed);
    } else {
      require(!hear(pair.agent, pattern, Role::initiator, in) ||
              std::equal(hello.begin(), hello.end(), in.begin(), in.end()));
    }
    return 0;
  }
  require(hear(pair.agent, pattern, Role::initiator, hello));
  Buffer reply = unit(UnitKind::reply, pair.agent);
  if (data[0] & 2) {
    const bool changed = lay_over(reply, in);
    require(hear(pair.client, pattern, Role::responder, reply) == !changed);
  } else {
    require(!hear(pair.client, pattern, Role::responder, in) ||
            std::equal(reply.begin(), reply.end(), in.begin(), in.end()));
  }
  return 0;
}
