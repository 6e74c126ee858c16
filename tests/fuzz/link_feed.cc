// A peer that sends anything to a link with data under way. The first byte is the size of the
// pieces it arrives in; whole or in pieces, the outcome is the same, and what we say back is
// bounded.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "net/link.h"
#include "net/link_fixture.h"

namespace {

using namespace leat;
using namespace leat::net;

constexpr std::size_t kSent = 3000;  // little, so that an input is a matter of microseconds

struct Outcome {
  std::string got, code, text;
  std::uint64_t acked = 0, received = 0;
  LinkFault fault = LinkFault::none;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

void require(bool holds) {
  if (!holds) std::abort();
}

Outcome run(Bytes in, std::size_t step) {
  test::TestUpper upper;
  Link link(upper, Framing::chunks, 2 * limits::kLogSlab);
  Time now = test::kStart;
  require(link.attach(0, now));
  upper.to_send = test::pattern(kSent);
  upper.at_once = 700;
  test::pull_all(link, now);

  Outcome outcome;
  while (!in.empty() && outcome.fault == LinkFault::none) {
    const Bytes piece = in.first(std::min(step, in.size()));
    in = in.subspan(piece.size());
    outcome.fault = link.feed(piece, now);
    require(link.received() == upper.got.size());
    require(link.stats().log_bytes <= 2 * limits::kLogSlab);
  }
  outcome.got = upper.got;
  outcome.acked = link.stats().acked;
  outcome.received = link.received();
  outcome.code = link.close_code();
  outcome.text = link.close_text();
  require(outcome.acked <= link.stats().data_sent);

  upper.to_send.clear();
  require(test::pull_all(link, now + limits::kLinkAckDelay).size() <= 33);  // pong, ack
  if (outcome.fault == LinkFault::none) {
    // And the session goes on elsewhere, from what was acknowledged.
    require(link.attach(outcome.acked, now));
    std::string again;
    for (const test::Chunk& c : test::chunks(test::pull_all(link, now))) {
      if (c.kind == 4) again += c.body;
    }
    const std::uint64_t sent = link.stats().data_sent;
    require(again == test::pattern(sent - outcome.acked, outcome.acked));
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes in(data + 1, size - 1);
  require(run(in, size) == run(in, data[0] + std::size_t{1}));
  return 0;
}
