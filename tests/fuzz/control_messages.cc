// A peer that sends anything on the control stream. The first byte chooses the side that hears it,
// the second the size of the pieces; whole or in pieces, the events are the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "control/control_fixture.h"

namespace {

using namespace leat;
using namespace leat::control;

struct Outcome {
  std::vector<std::string> log;
  std::string said;
  bool good = true;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

template <typename Side>
void hear(Side& side, Bytes in, std::size_t step, Outcome& outcome) {
  while (!in.empty()) {
    const Bytes piece = in.first(std::min(step, in.size()));
    in = in.subspan(piece.size());
    outcome.good = side.feed(piece).has_value();
  }
  outcome.said = side.take_output();
}

Outcome agent(Bytes in, std::size_t step) {
  Outcome outcome;
  test::ClientLog log;
  Client client(log, test::key(), Secret("t"), "h", {{"chat", TunnelKind::http, true, 0}, {}});
  hear(client, in, step, outcome);
  outcome.log = log.log;
  return outcome;
}

Outcome relay(Bytes in, std::size_t step) {
  Outcome outcome;
  test::ServerLog log;
  Server server(log, test::key());
  log.on_hello_then = [&] { server.welcome("s", "n"); };
  log.on_bind_then = [&](std::uint32_t request, const TunnelRequest& tunnel) {
    if (tunnel.is_public) return server.refused(request, {Code::TUNNEL_TAKEN, tunnel.id});
    server.bound(request, {tunnel.id.empty() ? "made" : tunnel.id, {}, tunnel.remote_port});
  };
  hear(server, in, step, outcome);
  outcome.log = log.log;
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Bytes in(data + 2, size - 2);
  const auto side = data[0] % 2 == 0 ? relay : agent;
  const Outcome whole = side(in, size);
  if (!(whole == side(in, data[1] + std::size_t{1}))) std::abort();
  for (const proto::Control& message : test::messages(whole.said)) {
    if (message.message_case() == proto::Control::MESSAGE_NOT_SET) std::abort();
  }
  return 0;
}
