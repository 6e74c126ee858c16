// What being told of readiness costs: pairs of sockets that pass one byte to and fro, on a shard
// and, for comparison, with async_wait armed anew for every wake (docs/adr/0004-reactor.md).
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <memory>
#include <vector>

#include "net/shard.h"
#include "socket_pair.h"

namespace leat::net {
namespace {

constexpr int kPasses = 20'000;  // of one iteration, over all pairs

// Answers each byte with a byte until the passes are used up.
bool pass(int fd, int& left) {
  char byte;
  while (::read(fd, &byte, 1) == 1) {
    if (--left <= 0) return false;
    if (::write(fd, &byte, 1) != 1) std::abort();
  }
  return true;
}

void kick_off(const std::vector<std::pair<Fd, Fd>>& pairs) {
  for (const auto& pair : pairs) {
    if (::write(pair.first.get(), "x", 1) != 1) std::abort();
  }
}

struct Passer final : Watched {
  Passer(Shard& s, int f, int& l) : shard(s), fd(f), left(l) { shard.watch(fd, *this); }
  void on_ready() override {
    if (!pass(fd, left)) return shard.stop();
    clear_readable();
  }
  Shard& shard;
  int fd;
  int& left;
};

void BM_PassOnShard(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<std::pair<Fd, Fd>> pairs(static_cast<std::size_t>(state.range(0)));
    for (auto& pair : pairs) pair = loopback_pair();
    int left = kPasses;
    {
      Shard shard;
      std::vector<std::unique_ptr<Passer>> passers;
      for (const auto& [one, other] : pairs) {
        passers.push_back(std::make_unique<Passer>(shard, one.get(), left));
        passers.push_back(std::make_unique<Passer>(shard, other.get(), left));
      }
      kick_off(pairs);
      state.ResumeTiming();
      shard.run();
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kPasses);
}
BENCHMARK(BM_PassOnShard)->ArgName("pairs")->Arg(1)->Arg(16)->Arg(256);

struct AsioPasser {
  AsioPasser(asio::io_context& c, int fd, int& l) : context(c), descriptor(c, fd), left(l) {
    wait();
  }
  ~AsioPasser() { descriptor.release(); }
  void wait() {
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                          [this](asio::error_code error) {
                            if (error) return;
                            if (!pass(descriptor.native_handle(), left)) return context.stop();
                            wait();
                          });
  }
  asio::io_context& context;
  asio::posix::stream_descriptor descriptor;
  int& left;
};

void BM_PassWithAsyncWait(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<std::pair<Fd, Fd>> pairs(static_cast<std::size_t>(state.range(0)));
    for (auto& pair : pairs) pair = loopback_pair();
    int left = kPasses;
    {
      asio::io_context context(1);
      std::vector<std::unique_ptr<AsioPasser>> passers;
      for (const auto& [one, other] : pairs) {
        passers.push_back(std::make_unique<AsioPasser>(context, one.get(), left));
        passers.push_back(std::make_unique<AsioPasser>(context, other.get(), left));
      }
      kick_off(pairs);
      state.ResumeTiming();
      context.run();
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kPasses);
}
BENCHMARK(BM_PassWithAsyncWait)->ArgName("pairs")->Arg(1)->Arg(16)->Arg(256);

}  // namespace
}  // namespace leat::net
