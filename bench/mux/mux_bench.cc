// What the multiplexer core costs: frame headers, whole frames through two sessions in memory, the
// choice of the next stream, the accounts of a window. items/s are frames, or exchanges; bytes/s
// are of headers where those are all there is, and of the payload that was moved or decided about.

#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "mux/frame.h"
#include "mux/scheduler.h"
#include "mux/session.h"
#include "mux/window.h"

namespace leat::mux {
namespace {

// `bytes`: of each item.
void report(benchmark::State& state, std::int64_t items, std::size_t bytes) {
  state.SetItemsProcessed(items);
  state.SetBytesProcessed(items * static_cast<std::int64_t>(bytes));
}

void encode_header(benchmark::State& state) {
  std::array<std::uint8_t, kHeaderSize> raw{};
  std::uint32_t id = 1;
  for (auto _ : state) {
    encode({Type::data, 0, id += 2, 16369}, raw.data());
    benchmark::DoNotOptimize(raw);
  }
  report(state, state.iterations(), kHeaderSize);
}
BENCHMARK(encode_header);

void decode_header(benchmark::State& state) {
  std::array<std::uint8_t, kHeaderSize> raw{};
  encode({Type::data, 0, 77, 16369}, raw.data());
  Header header;
  for (auto _ : state) {
    benchmark::DoNotOptimize(raw);
    benchmark::DoNotOptimize(decode(raw.data(), header));
  }
  report(state, state.iterations(), kHeaderSize);
}
BENCHMARK(decode_header);

// An endless source of frames of a given size, which writes as a read() into the frame would.
struct Bulk final : Source {
  explicit Bulk(std::size_t n) : bytes(n) {}
  Produced produce(MutableBytes out) override {
    const std::size_t n = std::min(out.size(), bytes);
    std::memset(out.data(), 7, n);
    return Produced::bytes(n);
  }
  std::size_t bytes;
};

struct Drain final : Sink {
  std::size_t deliver(Bytes data) override {
    benchmark::DoNotOptimize(data.data());
    return data.size();
  }
  void end() override {}
  void reset(ResetReason) override {}
};

struct Side final : Events {
  explicit Side(const Config& config) : session(config, *this, Time{}) {}
  void on_open(StreamHandle stream) override { session.attach(stream, nullptr, &drain); }
  void on_go_away() override {}
  void on_want_pull() override {}
  Drain drain;
  Session session;
};

// Two sessions face to face, records of one TLS record each way. Arguments: streams, bytes a frame
// carries.
void session_pair(benchmark::State& state) {
  const auto streams = static_cast<std::size_t>(state.range(0));
  Side from(Config::native(Role::client)), to(Config::native(Role::server));
  std::deque<Bulk> sources;
  std::vector<std::uint8_t> there(16381), back(16381);
  for (std::size_t i = 0; i < streams; ++i) {
    sources.emplace_back(static_cast<std::size_t>(state.range(1)));
    from.session.attach(*from.session.open(Time{}), &sources.back(), nullptr);
  }
  const auto turn = [&] {
    const std::size_t n = from.session.pull(there, Time{});
    if (to.session.feed(Bytes(there).first(n), Time{}) != Fatal::none) state.SkipWithError("fatal");
    const std::size_t m = to.session.pull(back, Time{});
    if (m > 0 && from.session.feed(Bytes(back).first(m), Time{}) != Fatal::none) {
      state.SkipWithError("fatal");
    }
  };
  for (std::size_t i = 0; i < 4 * streams + 1000; ++i) turn();
  const Stats before = to.session.stats();
  for (auto _ : state) turn();
  const Stats& after = to.session.stats();
  state.SetBytesProcessed(static_cast<std::int64_t>(after.data_in - before.data_in));
  state.SetItemsProcessed(static_cast<std::int64_t>(after.frames_in - before.frames_in));
}
BENCHMARK(session_pair)
    ->ArgNames({"streams", "frame"})
    ->ArgsProduct({{1, 100, 10000}, {16369, 1400, 100}});

// Opened, one request and one answer of 200 bytes, closed both ways.
struct Exchange final : Source, Sink {
  Produced produce(MutableBytes out) override {
    if (sent) return Produced::end();
    sent = true;
    std::memset(out.data(), 7, kSize);
    return Produced::bytes(kSize);
  }
  std::size_t deliver(Bytes data) override { return data.size(); }
  void end() override {}
  void reset(ResetReason) override {}
  static constexpr std::size_t kSize = 200;
  bool sent = false;
};

struct Answering final : Events {
  Answering() : session(Config::native(Role::server), *this, Time{}) {}
  void on_open(StreamHandle stream) override {
    answer.sent = false;
    session.attach(stream, &answer, &answer);
  }
  void on_go_away() override {}
  void on_want_pull() override {}
  Exchange answer;
  Session session;
};

void exchange(benchmark::State& state) {
  Side from(Config::native(Role::client));
  Answering to;
  std::vector<std::uint8_t> wire(16381);
  Time now{};
  for (auto _ : state) {
    now += std::chrono::milliseconds(1);  // the guard allows 8,192 a second
    Exchange request;
    from.session.attach(*from.session.open(now), &request, &request);
    std::size_t n = 0, m = 0;
    do {
      n = from.session.pull(wire, now);
      if (to.session.feed(Bytes(wire).first(n), now) != Fatal::none) state.SkipWithError("fatal");
      m = to.session.pull(wire, now);
      if (from.session.feed(Bytes(wire).first(m), now) != Fatal::none) {
        state.SkipWithError("fatal");
      }
    } while (n + m > 0);
  }
  report(state, state.iterations(), 2 * Exchange::kSize);
}
BENCHMARK(exchange);

constexpr std::size_t kFull = limits::kMaxFrameNative, kToken = 100;  // bytes in a frame

void choose_next(benchmark::State& state) {
  struct Flow : Scheduled {};
  std::deque<Flow> flows(static_cast<std::size_t>(state.range(0)));
  Scheduler scheduler(kHeaderSize + kFull);
  for (Flow& flow : flows) scheduler.wake(flow);
  for (auto _ : state) {
    scheduler.begin_pull();
    scheduler.sent(*scheduler.next(false), kHeaderSize + kFull);
    scheduler.end_pull();
  }
  report(state, state.iterations(), kFull);
}
BENCHMARK(choose_next)->ArgName("streams")->Arg(1)->Arg(100)->Arg(10000);

// A stream that wakes, sends a little and sleeps again, beside bulk.
void wake_and_serve(benchmark::State& state) {
  struct Flow : Scheduled {};
  std::deque<Flow> bulk(static_cast<std::size_t>(state.range(0)));
  Flow token;
  Scheduler scheduler(kHeaderSize + kFull);
  for (Flow& flow : bulk) scheduler.wake(flow);
  for (auto _ : state) {
    scheduler.wake(token);
    scheduler.begin_pull();
    for (int i = 0; i < 2; ++i) {
      Scheduled* const flow = scheduler.next(false);
      scheduler.sent(*flow, kHeaderSize + (flow == &token ? kToken : kFull));
    }
    scheduler.end_pull();
    scheduler.suspend(token);
  }
  report(state, state.iterations(), kToken + kFull);
}
BENCHMARK(wake_and_serve)->ArgName("bulk")->Arg(8)->Arg(1000);

void receive_window(benchmark::State& state) {
  ReceiveWindow window(limits::kInitialWindow, Time{});
  for (auto _ : state) {
    benchmark::DoNotOptimize(window.receive(kFull));
    window.consume(kFull);
    if (window.due()) benchmark::DoNotOptimize(window.take_grant());
  }
  report(state, state.iterations(), kFull);
}
BENCHMARK(receive_window);

}  // namespace
}  // namespace leat::mux
