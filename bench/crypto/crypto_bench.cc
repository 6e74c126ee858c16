// What sealing costs: a record sealed and opened, by suite and size, and a whole handshake.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "crypto/channel.h"
#include "crypto/handshake.h"

namespace leat::crypto {
namespace {

struct Channels {
  Channel client, agent;
};

struct Parties {
  KeyPair client = KeyPair::generate(), agent = KeyPair::generate();
  std::string prologue = sealed_prologue(agent.public_key());
  Key psk = pairing_psk(as_bytes("0123456789abcdef"));
};

template <typename T, typename Fault>
T take(tl::expected<T, Fault>&& result) {
  if (!result) std::abort();
  return *result;
}

Channels connect(const Parties& parties, Pattern pattern, Suite suite) {
  auto client = Handshake::initiator(pattern, as_bytes(parties.prologue), parties.client,
                                     parties.agent.public_key());
  auto agent = Handshake::responder(pattern, as_bytes(parties.prologue), parties.agent);
  client.set_psk(parties.psk);
  agent.set_psk(parties.psk);
  std::vector<std::uint8_t> message(kMessage1 + 64), payload(64);
  std::size_t size = take(client.write(payload, message));
  take(agent.read(Bytes(message).first(size), payload));
  size = take(agent.write(payload, message));
  take(client.read(Bytes(message).first(size), payload));
  return {std::move(client).finish(suite, Time{}).value(),
          std::move(agent).finish(suite, Time{}).value()};
}

// In place on both sides; rekeys when it is time.
void BM_SealAndOpen(benchmark::State& state) {
  const auto suite = static_cast<Suite>(state.range(0));
  const auto size = static_cast<std::size_t>(state.range(1));
  auto [client, agent] = connect({}, Pattern::ik, suite);
  std::vector<std::uint8_t> record(kMaxRecord);
  for (auto _ : state) {
    if (client.rekey_due(Time{})) {
      take(client.rekey(record, Time{}));
      if (agent.open(record).event != Opened::Event::rekey) std::abort();
    }
    take(client.seal(record, size, Time{}));
    const Opened opened = agent.open(record);
    if (opened.event != Opened::Event::data) std::abort();
    benchmark::DoNotOptimize(opened.content.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(1));
  state.SetLabel(suite == Suite::aesgcm ? "aesgcm" : "nacl");
}
BENCHMARK(BM_SealAndOpen)
    ->ArgNames({"suite", "bytes"})
    ->ArgsProduct({{1, 2}, {16 * 1024, 1024, 100}});

// Both sides of it, ephemeral keys included.
void BM_Handshake(benchmark::State& state) {
  const Parties parties;
  const auto pattern = static_cast<Pattern>(state.range(0));
  for (auto _ : state) {
    Channels channels = connect(parties, pattern, Suite::aesgcm);
    benchmark::DoNotOptimize(&channels);
  }
  state.SetItemsProcessed(state.iterations());
  state.SetLabel(pattern == Pattern::ik ? "IK" : "IKpsk2");
}
BENCHMARK(BM_Handshake)->ArgName("pattern")->Arg(0)->Arg(1);

}  // namespace
}  // namespace leat::crypto
