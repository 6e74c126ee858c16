// Bulk through TLS transports over loopback, by the size of their rings: both ends on one thread,
// so that the figure is the processor time of encrypting, sending, receiving and decrypting
// together.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "net/shard.h"
#include "net/tls.h"
#include "net/transport.h"
#include "socket_pair.h"

namespace leat::net {
namespace {

constexpr std::size_t kBulk = 32 * limits::MiB;  // of one iteration

struct Contexts {
  Contexts() {
    std::string dir = std::filesystem::temp_directory_path() / "leat-bench-XXXXXX";
    if (::mkdtemp(dir.data()) == nullptr) std::abort();
    const std::string certificate = dir + "/cert.pem", key = dir + "/key.pem";
    if (!ensure_self_signed(certificate, key, {"localhost"})) std::abort();
    const auto pin = parse_pin(*certificate_pin(certificate));
    server =
        std::make_unique<TlsContext>(TlsContext::server(certificate, key, {kAlpnLeat}).value());
    client = std::make_unique<TlsContext>(
        TlsContext::client({.pin = *pin, .ca_file = {}}, {kAlpnLeat}).value());
    std::filesystem::remove_all(dir);
  }
  std::unique_ptr<TlsContext> server, client;
};

struct Sender final : TransportOwner {
  void on_transport() override {
    while (left > 0) {
      const std::size_t n = std::min({left, source.size(), transport->write_room()});
      if (n == 0) return;
      left -= transport->write(Bytes(source).first(n)).n;
      if (!transport->flush()) return;
    }
  }
  std::unique_ptr<Transport> transport;
  std::vector<std::uint8_t> source = std::vector<std::uint8_t>(256 * limits::KiB, 'x');
  std::size_t left = 0;
};

struct Receiver final : TransportOwner {
  explicit Receiver(Shard& s) : shard(s) {}
  void on_transport() override {
    for (;;) {
      const IoResult result = transport->read(into);
      if (result.status != IoStatus::ok) return;
      left -= result.n;
      if (left == 0) shard.stop();
    }
  }
  Shard& shard;
  std::unique_ptr<Transport> transport;
  std::vector<std::uint8_t> into = std::vector<std::uint8_t>(64 * limits::KiB);
  std::size_t left = 0;
};

void run(benchmark::State& state, Shard& shard, Sender& sender, Receiver& receiver) {
  sender.transport->set_owner(&sender);
  receiver.transport->set_owner(&receiver);
  for (auto _ : state) {
    sender.left = receiver.left = kBulk;
    shard.post([&] { sender.on_transport(); });
    shard.run();
  }
  const IoCounters &out = sender.transport->counters(), &in = receiver.transport->counters();
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kBulk));
  state.SetItemsProcessed(
      static_cast<std::int64_t>(state.iterations() * kBulk / limits::kTlsRecord));
  state.counters["B/send"] = static_cast<double>(out.sent) / static_cast<double>(out.sends);
  state.counters["B/recv"] = static_cast<double>(in.received) / static_cast<double>(in.receives);
}

void BM_TlsBulk(benchmark::State& state) {
  static const Contexts contexts;
  Shard shard(static_cast<std::size_t>(state.range(0)) * limits::KiB);
  auto [client, server] = loopback_pair();
  Sender sender;
  Receiver receiver(shard);
  receiver.transport = make_tls_transport(shard, server.release(), *contexts.server, "");
  sender.transport = make_tls_transport(shard, client.release(), *contexts.client, "localhost");
  run(state, shard, sender, receiver);
}
BENCHMARK(BM_TlsBulk)
    ->ArgName("ring_KiB")
    ->Arg(16)
    ->Arg(32)
    ->Arg(48)
    ->Arg(64)
    ->Arg(96)
    ->Arg(128)
    ->Arg(256);

void BM_PlainBulk(benchmark::State& state) {
  Shard shard;
  auto [client, server] = loopback_pair();
  Sender sender;
  Receiver receiver(shard);
  receiver.transport = make_plain_transport(shard, server.release());
  sender.transport = make_plain_transport(shard, client.release());
  run(state, shard, sender, receiver);
}
BENCHMARK(BM_PlainBulk);

}  // namespace
}  // namespace leat::net
