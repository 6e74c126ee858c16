// Threats 1 to 9 mounted for as long as the session lives, or for a minute: what the process pays
// in memory and processor time, and what honest streams see meanwhile, in another session of the
// same shard and, where it is a receiver that misbehaves and not the peer, in the same session.
// hostile_test.cc has the answer to each single frame.

#include <gtest/gtest.h>
#include <time.h>

#include <deque>
#include <functional>
#include <memory>

#include "mux/counting_new.h"
#include "mux/mux_harness.h"
#include "mux/mux_wire.h"

namespace leat::mux::test {
namespace {

constexpr std::uint32_t kWindow = limits::kInitialWindow;
constexpr std::uint32_t kMax = 0xffffffff;

#ifdef LEAT_SANITIZED
constexpr int kSeconds = 8;
#else
constexpr int kSeconds = 60;
#endif

// What docs/flow_control.md allows a session without its link: stream buffers, table of streams,
// control queue; and a little for what is counted but not in that sum (the session itself).
constexpr std::size_t kSum =
    limits::kSessionReceiveBudget + 10 * limits::MiB + limits::kControlQueue + 256 * limits::KiB;

// Time passes for the streams as the tests say; this is what the processor spends meanwhile.
Duration processor_time() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

struct Spent {
  Duration time{};
  std::size_t bytes = 0;  // fed
  double per_byte() const { return static_cast<double>(time.count()) / static_cast<double>(bytes); }
};

// An attacker chooses small frames, so its bytes are compared with those of honest streams whose
// frames are small: what one of them costs at most, compared with one of theirs, in the same run,
// and what a second of the attack costs at most. Measured are up to 18 times (a stream for every
// byte) and 11 ms; a search through what an attacker has piled up would cost thousands.
constexpr double kDearer = 100;
#ifdef LEAT_SANITIZED
constexpr Duration kOfASecond = 1000ms;
#else
constexpr Duration kOfASecond = 100ms;
#endif

// Ten bytes now and then, each telling when it was sent; and its reader.
struct Tokens final : Source, Sink {
  explicit Tokens(const Time& of) : clock(of) {}

  Produced produce(MutableBytes out) override {
    if (waiting.empty()) return Produced::not_ready();
    if (out.size() < kSize) return Produced::not_ready();  // no record here is as small
    std::fill_n(out.begin(), kSize, std::uint8_t{'t'});
    sent.push_back(waiting.front());
    waiting.pop_front();
    return Produced::bytes(kSize);
  }
  std::size_t deliver(Bytes data) override {
    for (received += data.size(); received >= kSize; received -= kSize) {
      delays.push_back(clock - sent.front());
      sent.pop_front();
    }
    return data.size();
  }
  void end() override {}
  void reset(ResetReason) override { lost = true; }

  static constexpr std::size_t kSize = 10;
  const Time& clock;
  std::deque<Time> waiting, sent;
  std::size_t received = 0;
  std::vector<Duration> delays;
  bool lost = false;
};

// An agent that answers with tokens, every 20 ms on each of its streams, and one bulk download
// beside them, at 50 Mbit/s.
struct Honest {
  Honest(int streams, const Time& clock, MemoryShare* memory)
      : now(clock), agent(Config::native(Role::client)), relay(config(memory)) {
    there.rate = 50e6 / 8;
    there.delay = back.delay = 5ms;
    back.rate = 50e6 / 8;
    for (int i = 0; i < streams; ++i) tokens.emplace_back(now);
    relay.accept = [this](StreamHandle s) {
      const std::size_t n = relay.opened.size() - 1;
      relay.session.attach(s, nullptr,
                           n < tokens.size() ? static_cast<Sink*>(&tokens[n]) : &bulk_sink);
    };
    for (Tokens& each : tokens) {
      handles.push_back(*agent.session.open(now));
      agent.session.attach(handles.back(), &each, nullptr);
    }
    agent.session.attach(*agent.session.open(now), &bulk, nullptr);
  }
  static Config config(MemoryShare* memory) {
    Config config = Config::native(Role::server);
    config.memory = memory;
    return config;
  }

  // Up to now, in steps of a millisecond.
  void run(int tick) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if ((tick + static_cast<int>(i)) % 20 != 0) continue;
      tokens[i].waiting.push_back(now);
      agent.session.wake(handles[i]);
    }
    for (bool moved = true; moved;) {
      moved = arrive(there, relay) || arrive(back, agent);
      moved |= there.pull(agent.session, now) || back.pull(relay.session, now);
    }
    bulk_sink.text.clear();
  }
  bool arrive(Wire& wire, Peer& at) {
    if (wire.flying.empty() || wire.flying.front().arrives > now || !at.session.wants_feed()) {
      return false;
    }
    EXPECT_EQ(at.session.feed(as_bytes(wire.flying.front().bytes), now), Fatal::none);
    wire.flying.pop_front();
    return true;
  }
  Duration p99() {
    std::vector<Duration> all;
    for (Tokens& each : tokens) {
      EXPECT_FALSE(each.lost);
      all.insert(all.end(), each.delays.begin(), each.delays.end());
    }
    EXPECT_GT(all.size(), tokens.size() * 40);
    std::sort(all.begin(), all.end());
    return all.at(all.size() * 99 / 100);
  }

  const Time& now;
  Peer agent, relay;
  Wire there, back;
  std::deque<Tokens> tokens;
  std::vector<StreamHandle> handles;
  BulkSource bulk;
  TextSink bulk_sink;
};

// Sends what `next` makes, some in each millisecond, for as long as the session lives.
struct Attacker {
  Attacker(const Config& config, bool reads) : relay(config), pulls(reads) {
    relay.accept = [this](StreamHandle s) { relay.session.attach(s, nullptr, &stuck); };
    stuck.room = 0;
  }
  Peer relay;
  TextSink stuck;
  bool pulls;
  std::uint32_t id = 1;
  Fatal fatal = Fatal::none;

  // What it asks for, and never reads.
  std::deque<BulkSource> sources;
  std::deque<TextSink> sinks;
};

using Attack = std::function<std::string(Attacker&, int tick)>;

struct Outcome {
  Fatal fatal = Fatal::none;
  std::size_t most_memory = 0;
  Duration p99{};
  Duration lived{};      // the session with the attacker
  Spent attack, honest;  // honest: small frames
};

// Sixty streams that each send ten bytes in every millisecond.
Spent small_frames() {
  Pair pair;
  std::deque<TextSource> sources;
  std::deque<TextSink> sinks;
  std::vector<StreamHandle> handles;
  pair.server.accept = [&](StreamHandle s) {
    pair.server.session.attach(s, nullptr, &sinks.emplace_back());
  };
  for (int i = 0; i < 60; ++i) {
    handles.push_back(*pair.client.session.open(pair.now));
    pair.client.session.attach(handles.back(), &sources.emplace_back(), nullptr);
  }
  std::vector<std::uint8_t> record(16381);
  Spent spent;
  for (int tick = 0; tick < 2000; ++tick, pair.now += 1ms) {
    for (std::size_t i = 0; i < sources.size(); ++i) {
      sources[i].text.assign(10, 't');
      sources[i].sent = 0;
      pair.client.session.wake(handles[i]);
    }
    for (TextSink& sink : sinks) sink.text.clear();
    const std::string wire = pair.client.take(16381, pair.now);
    spent.bytes += wire.size();
    const Duration begun = processor_time();
    EXPECT_EQ(pair.server.session.feed(as_bytes(wire), pair.now), Fatal::none);
    std::string answers;
    while (const std::size_t n = pair.server.session.pull(record, pair.now)) {
      answers.append(record.begin(), record.begin() + static_cast<std::ptrdiff_t>(n));
    }
    spent.time += processor_time() - begun;
    EXPECT_EQ(pair.client.session.feed(as_bytes(answers), pair.now), Fatal::none);
  }
  return spent;
}

std::string many(int n, const std::function<std::string()>& one) {
  std::string out;
  for (int i = 0; i < n; ++i) out += one();
  return out;
}

Outcome mount(const Attack& attack, bool reads, Config config = Config::native(Role::server),
              int seconds = kSeconds) {
  MemoryBudget budget(limits::kRelayBudget);
  MemoryShare memory(budget);
  Time now{};
  Honest honest(10, now, &memory);
  std::vector<std::uint8_t> record(16381);
  for (int tick = 0; tick < 1000; ++tick, now += 1ms) honest.run(tick);  // in its stride

  Outcome outcome;
  outcome.honest = small_frames();
  const std::size_t before = leat::test::allocations().live;
  std::size_t others = 0;
  config.memory = &memory;
  auto attacker = std::make_unique<Attacker>(config, reads);
  for (int tick = 1000; tick < 1000 + seconds * 1000; ++tick, now += 1ms) {
    Session& session = attacker->relay.session;
    std::string wire;
    if (attacker->fatal == Fatal::none && session.wants_feed()) wire = attack(*attacker, tick);
    const Duration begun = processor_time();
    if (attacker->fatal == Fatal::none) outcome.lived += 1ms;
    if (!wire.empty()) {
      attacker->fatal = session.feed(as_bytes(wire), now);
      const std::size_t live = leat::test::allocations().live - wire.capacity();
      outcome.most_memory = std::max(outcome.most_memory, live - std::min(live, before + others));
    }
    if (attacker->fatal == Fatal::none && session.next_deadline() <= now) {
      attacker->fatal = session.on_deadline(now);
    }
    while (attacker->pulls && session.pull(record, now) > 0) {
    }
    if (!wire.empty()) outcome.attack.time += processor_time() - begun;
    outcome.attack.bytes += wire.size();
    const std::size_t mine = leat::test::allocations().live;
    honest.run(tick);
    others += leat::test::allocations().live - mine;
    attacker->relay.opened.clear();
  }
  outcome.fatal = attacker->fatal;
  attacker->relay.session.end_all();
  for (const TextSink& sink : attacker->sinks) EXPECT_TRUE(sink.reset_by) << "one was not told";
  outcome.p99 = honest.p99();
  return outcome;
}

const Duration& baseline() {
  static const Duration p99 = mount([](Attacker&, int) { return std::string(); }, true).p99;
  return p99;
}

struct Case {
  const char* name;
  Attack attack;
  Fatal ends;  // none: it lives
};

class Attacks : public testing::TestWithParam<Case> {};

TEST_P(Attacks, CostsWhatIsAllowedAndHurtsNobodyElse) {
  for (const bool reads : {true, false}) {
    const Outcome outcome = mount(GetParam().attack, reads);
    EXPECT_LE(outcome.most_memory, kSum);
    EXPECT_LE(outcome.p99, 2 * baseline());
    if (outcome.attack.bytes > 64 * limits::KiB) {
      EXPECT_LE(outcome.attack.per_byte(), kDearer * outcome.honest.per_byte());
    }
    const double seconds = std::max(1.0, std::chrono::duration<double>(outcome.lived).count());
    EXPECT_LE(outcome.attack.time, seconds * kOfASecond);
    if (outcome.fatal != GetParam().ends) {
      EXPECT_EQ(outcome.fatal, Fatal::flood)
          << name(outcome.fatal);  // who does not read may end sooner
      EXPECT_FALSE(reads) << name(outcome.fatal);
    }
  }
}

std::uint32_t next_id(Attacker& a) { return (a.id += 2) - 2; }

INSTANTIATE_TEST_SUITE_P(
    Threat, Attacks,
    testing::Values(
        Case{"1FirstFrameBeyondTheWindow",
             [](Attacker& a, int) {
               return data(next_id(a), std::string(kWindow, 'x'), flag::syn) +
                      frame(Type::data, flag::syn, next_id(a), kWindow + 1, std::string(99, 'x'));
             },
             Fatal::window_exceeded},
        Case{
            "1FirstFramesUpToTheWindow",
            [](Attacker& a, int) { return data(next_id(a), std::string(kWindow, 'x'), flag::syn); },
            Fatal::none},
        Case{"2CreditWithoutEnd",
             [](Attacker& a, int tick) {
               return window(1, tick == 1000 ? kMax - kWindow : 1, tick == 1000 ? flag::syn : 0) +
                      window(a.id, 0);
             },
             Fatal::window_overflow},
        Case{"2EmptyCreditAsFastAsItIsLetThrough",
             [](Attacker&, int tick) {
               return (tick == 1000 ? window(1, 0, flag::syn) : "") +
                      many(60, [] { return window(1, 0); });
             },
             Fatal::none},
        Case{"3PingsAsFastAsTheyAreLetThrough",
             [](Attacker&, int tick) {
               return tick % 63 == 0 ? frame(Type::ping, flag::syn, 0, kMax) : std::string();
             },
             Fatal::none},
        Case{"3PingFlood",
             [](Attacker&, int) {
               return many(1000, [] { return frame(Type::ping, flag::syn, 0, 1); });
             },
             Fatal::flood},
        Case{"4RapidReset",
             [](Attacker& a, int) {
               return many(500, [&] {
                 const std::uint32_t id = next_id(a);
                 return window(id, 0, flag::syn) + window(id, 0, flag::rst);
               });
             },
             Fatal::flood},
        Case{"4ResetsAsFastAsTheyAreLetThrough",
             [](Attacker& a, int) {
               return many(2, [&] {
                 const std::uint32_t id = next_id(a);
                 return data(id, "GET / HTTP/1.1", flag::syn) + window(id, 0, flag::rst);
               });
             },
             Fatal::none},
        Case{"4MoreStreamsThanThereMayBe",
             [](Attacker& a, int) {
               return many(60, [&] { return window(next_id(a), 0, flag::syn); });
             },
             Fatal::flood},
        Case{"5OneByteInAFrame",
             [](Attacker& a, int tick) {
               if (tick < 1512) return window(next_id(a), 0, flag::syn);
               a.id = a.id < 1024 ? a.id + 2 : 1;
               return many(60, [&] { return data(a.id, "x"); });
             },
             Fatal::none},
        Case{"5OneByteOnEachOfManyStreams",
             [](Attacker& a, int) {
               return many(4, [&] { return data(next_id(a), "x", flag::syn); });
             },
             Fatal::none},
        Case{"6IdsOutOfOrder",
             [](Attacker& a, int tick) {
               if (tick > 3000) return window(1, 0, flag::syn);
               a.id += 6;
               return window(a.id, 0, flag::syn) + window(a.id - 4, 0, flag::syn);
             },
             Fatal::bad_stream_id},
        Case{"6FramesOfStreamsThatNeverWere",
             [](Attacker&, int) {
               return data(7, std::string(1000, 'x')) + window(9, kMax) + window(11, 0, flag::fin) +
                      data(13, "x", flag::ack);
             },
             Fatal::none},
        Case{"7EveryWindowFilled",
             [](Attacker& a, int tick) {
               if (tick % 16 == 0) return window(next_id(a), 0, flag::syn);
               return data(a.id - 2, std::string(16384, 'x'));
             },
             Fatal::none},
        Case{"7AKibibyteOnEachOfManyStreams",
             [](Attacker& a, int) {
               return many(6, [&] { return data(next_id(a), std::string(900, 'x'), flag::syn); });
             },
             Fatal::none}),
    [](const auto& each) { return std::string("N") + each.param.name; });

// --- peers that read nothing: threat 8 ---

// Asks for as much as it may on many streams, keeps sending, and never reads.
std::string ask_for_much(Attacker& a, int tick) {
  if (tick > 1000) return data(1, "x");
  a.relay.accept = [&a](StreamHandle s) {
    a.relay.session.attach(s, &a.sources.emplace_back(), &a.sinks.emplace_back());
  };
  return many(200, [&] {
    const std::uint32_t id = next_id(a);
    return window(id, 0, flag::syn) + window(id, 1 << 30);
  });
}

TEST(NeverReading, EndsABareSessionAfterThirtySecondsAndItsOwnersAreTold) {
  const Outcome outcome = mount(ask_for_much, false, Config::bare(Role::server), 32);
  EXPECT_EQ(outcome.fatal, Fatal::write_timeout);
  EXPECT_GE(outcome.lived, limits::kWriteTimeoutBare);
  EXPECT_LE(outcome.lived, limits::kWriteTimeoutBare + 2ms);
  EXPECT_LE(outcome.most_memory, kSum);
  EXPECT_LE(outcome.p99, 2 * baseline());
}

// Its link outlives carriers, so the session lives. Nothing is framed for it, and what was opened
// to it is given up.
TEST(NeverReading, CostsANativeSessionNothingAndStreamsToItEndAfterFiveSeconds) {
  std::size_t open = 0, given_up = 0;
  bool asked = false;
  const Attack attack = [&](Attacker& a, int tick) {
    const std::string wire = ask_for_much(a, tick);
    if (tick == 1000) {
      for (open = 0; open < 50; ++open) {
        const auto stream = a.relay.session.open(Time{} + std::chrono::milliseconds(tick));
        a.relay.session.attach(*stream, &a.sources.emplace_back(), &a.sinks.emplace_back());
      }
    }
    const auto timed_out = [](const TextSink& s) {
      return s.reset_by == ResetReason::open_timeout;
    };
    given_up = static_cast<std::size_t>(std::count_if(a.sinks.begin(), a.sinks.end(), timed_out));
    if (tick != 6000) {
      EXPECT_EQ(given_up, tick < 6000 ? 0 : open) << "at " << tick << " ms";
    }
    asked = asked || std::any_of(a.sources.begin(), a.sources.end(),
                                 [](const BulkSource& s) { return s.sent > 0; });
    return wire;
  };
  const Outcome outcome = mount(attack, false, Config::native(Role::server), 8);
  EXPECT_EQ(outcome.fatal, Fatal::none);
  EXPECT_EQ(given_up, 50u);
  EXPECT_FALSE(asked);
  EXPECT_LE(outcome.most_memory, limits::MiB);
  EXPECT_LE(outcome.p99, 2 * baseline());
}

// --- receivers that misbehave: threat 9 ---

// Some receivers stop while bulk is on its way to them; the tokens of the others beside it.
Duration beside_stalled_receivers(std::size_t stalled, Duration goes_well) {
  Time now{};
  Honest all(99, now, nullptr);
  std::deque<BulkSource> sources(stalled);
  std::deque<TextSink> sinks(stalled);
  const auto usual = all.relay.accept;
  all.relay.accept = [&, usual](StreamHandle s) {
    if (all.relay.opened.size() <= 100) return usual(s);
    all.relay.session.attach(s, nullptr, &sinks[all.relay.opened.size() - 101]);
  };
  for (BulkSource& each : sources) {
    all.agent.session.attach(*all.agent.session.open(now), &each, nullptr);
  }
  all.relay.session.set_rtt(10ms);
  bool stopped = false;
  for (int tick = 0; tick < kSeconds * 500; ++tick, now += 1ms) {
    for (TextSink& sink : sinks) sink.text.clear();
    if (!stopped && now >= Time{} + goes_well) {
      for (TextSink& sink : sinks) sink.room = 0;
      stopped = true;
    }
    all.run(tick);
    EXPECT_TRUE(all.relay.session.wants_feed()) << "at " << tick << " ms";
    if (!all.relay.session.wants_feed()) break;
  }
  return all.p99();
}

TEST(Receivers, OneThatStallsHoldsUpNobodyElse) {
  const Duration alone = beside_stalled_receivers(0, 0s);
  EXPECT_LE(beside_stalled_receivers(1, 0s), 2 * alone);
}

TEST(Receivers, OneThatStallsWhenItsWindowIsWideHoldsUpNobodyElse) {
  const Duration alone = beside_stalled_receivers(1, 1h);
  EXPECT_LE(beside_stalled_receivers(1, 2s), 2 * alone);
}

TEST(Receivers, ManyThatStallWhenTheirWindowsAreWideHoldUpNobodyElse) {
  const Duration alone = beside_stalled_receivers(8, 1h);
  EXPECT_LE(beside_stalled_receivers(8, 2s), 2 * alone);
}

}  // namespace
}  // namespace leat::mux::test
