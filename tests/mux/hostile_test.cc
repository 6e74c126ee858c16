// Attacks on one session, by the numbers of the list of threats to a multiplexer, and what
// docs/protocol.md §1.4 to §1.9 answers to each.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mux/mux_harness.h"

namespace leat::mux::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint32_t kMax = 0xffffffff;
constexpr std::uint32_t kWindow = limits::kInitialWindow;
constexpr auto kUpdate = Type::window_update;

#ifdef LEAT_SANITIZED
constexpr int kScale = 10;  // of how much is sent where the amount is not the point
#else
constexpr int kScale = 1;
#endif

// A relay under attack. Nothing it accepts is read unless a test says so.
struct Victim {
  explicit Victim(const Config& config = Config::native(Role::server)) : peer(config) {}

  Fatal feed(std::string_view wire) { return peer.session.feed(as_bytes(wire), now); }
  const Stats& stats() const { return peer.session.stats(); }

  Time now{};
  Peer peer;
};

// --- threat 1 ---

TEST(Hostile, AFirstFrameWithTooMuchDataRegistersNothing) {
  for (const std::uint32_t length : {kWindow + 1, kMax}) {
    Victim victim;
    EXPECT_EQ(victim.feed(frame(Type::data, flag::syn, 1, length)), Fatal::window_exceeded);
    EXPECT_THAT(victim.peer.opened, IsEmpty());
    EXPECT_EQ(victim.stats().streams, 0u);
    EXPECT_THAT(headers(victim.peer.take()), ElementsAre(Header{Type::go_away, 0, 0, 1}));
  }
}

TEST(Hostile, AFirstFrameMayFillTheWindowExactly) {
  Victim victim;
  EXPECT_EQ(victim.feed(data(1, std::string(kWindow, 'x'), flag::syn)), Fatal::none);
  EXPECT_EQ(victim.stats().buffered, kWindow);
  EXPECT_EQ(victim.feed(data(1, "x")), Fatal::window_exceeded);
  EXPECT_EQ(victim.stats().buffered, kWindow);
}

// --- threat 2 ---

TEST(Hostile, CreditMayNotOverflow) {
  for (const auto& [first, second] :
       {std::pair{kMax - kWindow, 1u}, std::pair{0u, kMax}, std::pair{kMax / 2, kMax / 2 + 1}}) {
    Victim victim;
    ASSERT_EQ(victim.feed(window(1, first, flag::syn)), Fatal::none);
    EXPECT_EQ(victim.feed(window(1, second)), Fatal::window_overflow);
  }
  for (const std::uint32_t credit : {kMax, kMax - kWindow + 1}) {
    Victim victim;
    EXPECT_EQ(victim.feed(window(1, credit, flag::syn)), Fatal::window_overflow);
    EXPECT_THAT(victim.peer.opened, IsEmpty());
  }
}

TEST(Hostile, CreditIsCheckedAfterOurFinToo) {
  Victim victim;
  TextSource source;
  source.ends = true;
  ASSERT_EQ(victim.feed(window(1, 0, flag::syn)), Fatal::none);
  victim.peer.session.attach(victim.peer.opened[0], &source, nullptr);
  ASSERT_EQ(headers(victim.peer.take()).size(), 2u);
  EXPECT_EQ(victim.feed(window(1, kMax)), Fatal::window_overflow);
}

TEST(Hostile, AFloodOfEmptyCreditEndsTheSession) {
  Victim victim;
  ASSERT_EQ(victim.feed(window(1, 0, flag::syn)), Fatal::none);
  const std::string nothing = window(1, 0);
  std::size_t sent = 0;
  while (victim.feed(nothing) == Fatal::none) ++sent;
  EXPECT_EQ(sent, limits::kPeerWaste.burst / limits::kFrameOverhead);
  EXPECT_EQ(victim.feed(nothing), Fatal::flood);
}

// --- threat 3 ---

TEST(Hostile, APeerThatNeverReadsIsAnsweredWithinBounds) {
  Victim victim;
  ASSERT_EQ(victim.feed(window(1, 0, flag::syn)), Fatal::none);
  // As fast as the guard allows, for an hour.
  for (int i = 0; i < 3600 * 16 / kScale; ++i) {
    victim.now += 62500us;
    ASSERT_EQ(victim.feed(frame(Type::ping, flag::syn, 0, static_cast<std::uint32_t>(i))),
              Fatal::none);
  }
  EXPECT_EQ(victim.peer.take().size(), (1 + limits::kPongs) * kHeaderSize);
}

TEST(Hostile, APingFloodEndsTheSession) {
  for (const std::uint16_t kind : {flag::syn, flag::ack}) {
    Victim victim;
    std::size_t sent = 0;
    while (victim.feed(frame(Type::ping, kind, 0, 1)) == Fatal::none) ++sent;
    EXPECT_EQ(sent, limits::kPeerPings.burst);
    EXPECT_THAT(headers(victim.peer.take()), ElementsAre(Header{Type::go_away, 0, 0, 1}));
  }
}

TEST(Hostile, RefusalsThatCannotLeaveEndTheSession) {
  Config config = Config::native(Role::server);
  config.max_streams = 1;
  Victim victim(config);
  std::uint32_t id = 1;
  Fatal fault = Fatal::none;
  while (fault == Fatal::none && id < 200000) {
    victim.now += 1ms;
    fault = victim.feed(window(id, 0, flag::syn));
    id += 2;
  }
  EXPECT_EQ(fault, Fatal::flood);
  EXPECT_LE(victim.stats().refused, limits::kControlQueue / kHeaderSize);
}

TEST(Hostile, CreditForSlowCarriersIsJoinedPerStream) {
  Config config = Config::native(Role::server);
  config.max_window = kWindow;
  Victim victim(config);
  TextSink sink;
  victim.peer.accept = [&](StreamHandle s) { victim.peer.session.attach(s, nullptr, &sink); };
  ASSERT_EQ(victim.feed(window(1, 0, flag::syn)), Fatal::none);
  ASSERT_EQ(headers(victim.peer.take()).size(), 1u);
  // All of the window arrives in small frames, and all of it is taken, before anything can leave.
  for (std::uint32_t i = 0; i < kWindow / 1024; ++i) {
    ASSERT_EQ(victim.feed(data(1, std::string(1024, 'x'))), Fatal::none);
  }
  EXPECT_THAT(headers(victim.peer.take()), ElementsAre(Header{kUpdate, 0, 1, kWindow}));
}

// Each costs its sender twelve bytes, and no state bounds their number.
TEST(Hostile, FramesToStreamsThatAreNotThereAreNotFree) {
  for (const std::string& frame : {window(7, 0, flag::fin), window(9, 0xffffffff), data(9, "")}) {
    Victim victim;
    std::size_t sent = 0;
    while (sent < 10'000'000 && victim.feed(frame) == Fatal::none) ++sent;
    EXPECT_EQ(sent, limits::kPeerWaste.burst / limits::kFrameOverhead);
  }
}

// They cross our RST, and have cost their sender what they are worth.
TEST(Hostile, DataForStreamsThatAreGoneIsTaken) {
  Victim victim;
  ASSERT_EQ(victim.feed(window(1, 0, flag::syn)), Fatal::none);
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_EQ(victim.feed(data(9, std::string(limits::kFrameOverhead, 'x'))), Fatal::none);
  }
}

// --- threat 4 ---

// Opens and resets at the given pace; returns how many went well, at most `most`.
std::size_t open_and_reset(Victim& victim, Duration pace, std::size_t most) {
  for (std::size_t i = 0; i < most; ++i) {
    const auto id = static_cast<std::uint32_t>(2 * i + 1);
    if (victim.feed(window(id, 0, flag::syn)) != Fatal::none) return i;
    if (victim.feed(window(id, 0, flag::rst)) != Fatal::none) return i;
    victim.now += pace;
  }
  return most;
}

TEST(Hostile, RapidResetEndsTheSession) {
  Victim victim;
  EXPECT_EQ(open_and_reset(victim, 0ns, 1000000), limits::kPeerResets.burst);
  EXPECT_EQ(victim.feed("x"), Fatal::flood);
}

TEST(Hostile, ResetsAtAHumanPaceDoNot) {
  Victim victim;
  const std::size_t many = 100000 / kScale;
  EXPECT_EQ(open_and_reset(victim, 500us, many), many);
  EXPECT_EQ(victim.stats().streams, 0u);
}

TEST(Hostile, ResetsWeAreTrickedIntoCountToo) {
  Config config = Config::native(Role::server);
  config.max_streams = 1;
  Victim victim(config);
  std::size_t sent = 0;
  for (std::uint32_t id = 1; victim.feed(window(id, 0, flag::syn)) == Fatal::none; id += 2) {
    ++sent;
    static_cast<void>(victim.peer.take());  // it does read the answers
  }
  EXPECT_EQ(sent, limits::kPeerResets.burst + 1);
  EXPECT_EQ(victim.feed(""), Fatal::flood);
}

TEST(Hostile, AnOpenFloodEndsTheSession) {
  Victim victim;
  std::size_t sent = 0;
  std::uint32_t id = 1;
  // Opened and closed properly at once, so that neither the number of streams nor that of resets
  // grows.
  TextSource source;
  source.ends = true;
  TextSink sink;
  victim.peer.accept = [&](StreamHandle s) { victim.peer.session.attach(s, &source, &sink); };
  while (victim.feed(window(id, 0, flag::syn | flag::fin)) == Fatal::none) {
    ++sent;
    id += 2;
    static_cast<void>(victim.peer.take());
  }
  EXPECT_EQ(sent, limits::kPeerOpens.burst);
  EXPECT_EQ(victim.feed(""), Fatal::flood);
}

TEST(Hostile, StreamsWhoseLastFrameCannotLeaveCountAsOpen) {
  Config config = Config::native(Role::server);
  config.max_streams = 100;
  Victim victim(config);
  TextSink sink;
  victim.peer.accept = [&](StreamHandle s) { victim.peer.session.reset(s); };
  for (std::uint32_t id = 1; id < 2001; id += 2) {
    ASSERT_EQ(victim.feed(window(id, 0, flag::syn)), Fatal::none);
  }
  EXPECT_EQ(victim.stats().refused, 900u);
  EXPECT_EQ(headers(victim.peer.take()).size(), 1000u);  // one RST each, no ACK
}

// --- threat 5 ---

TEST(Hostile, OneByteFramesAreJoinedAndLimited) {
  Victim victim;
  TextSink sink;
  ASSERT_EQ(victim.feed(window(1, 0, flag::syn)), Fatal::none);
  const std::string one = data(1, "x");
  std::size_t sent = 0;
  while (victim.feed(one) == Fatal::none) ++sent;
  EXPECT_EQ(sent, limits::kPeerWaste.burst / (limits::kFrameOverhead - 1));
  EXPECT_EQ(victim.stats().buffered, sent);
  EXPECT_LT(victim.stats().held, sent + 16384 + 4096);
}

TEST(Hostile, TypingIsNoFlood) {
  Victim victim;
  TextSink sink;
  victim.peer.accept = [&](StreamHandle s) { victim.peer.session.attach(s, nullptr, &sink); };
  ASSERT_EQ(victim.feed(window(1, 0, flag::syn)), Fatal::none);
  const std::string one = data(1, "x");
  for (int i = 0; i < 500000 / kScale; ++i) {
    victim.now += 20us;  // 50,000 a second
    ASSERT_EQ(victim.feed(one), Fatal::none);
    if (i % 1000 == 0) static_cast<void>(victim.peer.take());
  }
}

// --- threat 6: beyond the state table, the ids ---

TEST(Hostile, IdsOfTheWrongParityOrUsedBefore) {
  for (const auto& wire : {window(2, 0, flag::syn), data(2, "x", flag::syn)}) {
    Victim victim;
    EXPECT_EQ(victim.feed(wire), Fatal::bad_stream_id);
  }
  Victim victim;
  ASSERT_EQ(victim.feed(window(5, 0, flag::syn)), Fatal::none);
  ASSERT_EQ(victim.feed(window(1, 0, flag::syn)), Fatal::none);  // order is free
  ASSERT_EQ(victim.feed(window(5, 0, flag::rst)), Fatal::none);
  EXPECT_EQ(victim.feed(window(5, 0, flag::syn)), Fatal::bad_stream_id);
}

TEST(Hostile, OurIdsEndBeforeTheyWrap) {
  Config config = Config::native(Role::client);
  config.first_id = kMax - 2;
  Victim victim(config);
  const auto last_but_one = victim.peer.session.open(victim.now);
  const auto last = victim.peer.session.open(victim.now);
  ASSERT_TRUE(last_but_one && last);
  EXPECT_EQ(victim.peer.session.id(*last), kMax);
  EXPECT_EQ(victim.peer.session.open(victim.now), std::nullopt);
  EXPECT_THAT(headers(victim.peer.take()),
              ElementsAre(Header{Type::go_away, 0, 0, 0}, Header{kUpdate, flag::syn, kMax - 2, 0},
                          Header{kUpdate, flag::syn, kMax, 0}));
  EXPECT_TRUE(victim.peer.session.alive(*last));
}

TEST(Hostile, AnEndlessFrameForAnUnknownStreamIsSkipped) {
  Victim victim;
  ASSERT_EQ(victim.feed(frame(Type::data, 0, 7, kMax)), Fatal::none);
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 4095; ++i) ASSERT_EQ(victim.feed(piece), Fatal::none);
  ASSERT_EQ(victim.feed(piece.substr(1)), Fatal::none);
  EXPECT_EQ(victim.stats().buffered, 0u);
  ASSERT_EQ(victim.feed(frame(Type::ping, flag::syn, 0, 3)), Fatal::none);
  EXPECT_THAT(headers(victim.peer.take()), ElementsAre(Header{Type::ping, flag::ack, 0, 3}));
}

// --- threat 7 ---

Config small_budget() {
  Config config = Config::native(Role::server);
  config.receive_budget = 1 << 20;
  return config;
}

// Opens streams and fills each with `bytes`, in turns of `piece`.
Fatal fill(Victim& victim, std::uint32_t streams, std::size_t bytes, std::size_t piece) {
  for (std::uint32_t i = 0; i < streams; ++i) {
    const Fatal f = victim.feed(window(2 * i + 1, 0, flag::syn));
    if (f != Fatal::none) return f;
  }
  for (std::size_t done = 0; done < bytes; done += piece) {
    for (std::uint32_t i = 0; i < streams; ++i) {
      const Fatal f = victim.feed(data(2 * i + 1, std::string(piece, 'x')));
      if (f != Fatal::none) return f;
    }
  }
  return Fatal::none;
}

TEST(Hostile, TheBudgetHoldsWhateverIsBuffered) {
  for (const std::size_t piece : {1u, 100u, 1000u, 16384u, 65536u}) {
    Victim victim(small_budget());
    std::uint32_t id = 1;
    for (; id < 2 * 500; id += 2) ASSERT_EQ(victim.feed(window(id, 0, flag::syn)), Fatal::none);
    for (std::size_t sent = 0; sent + piece <= std::min<std::size_t>(kWindow, 20 * piece);
         sent += piece) {
      for (std::uint32_t i = 1; i < id; i += 2) {
        ASSERT_EQ(victim.feed(data(i, std::string(piece, 'x'))), Fatal::none);
        ASSERT_LE(victim.stats().held, std::size_t{1} << 20);
      }
    }
  }
}

TEST(Hostile, AtTheCapTheStreamThatHoldsMostIsReset) {
  Victim victim(small_budget());
  std::vector<TextSink> sinks(20);
  std::size_t n = 0;
  victim.peer.accept = [&](StreamHandle s) {
    sinks[n].room = 0;
    victim.peer.session.attach(s, nullptr, &sinks[n++]);
  };
  ASSERT_EQ(fill(victim, 20, 30000, 10000), Fatal::none);
  ASSERT_EQ(victim.feed(data(1, std::string(60000, 'x'))), Fatal::none);
  EXPECT_FALSE(sinks[0].reset_by.has_value());
  Fatal fault = Fatal::none;
  for (std::uint32_t id = 3; fault == Fatal::none && !sinks[0].reset_by && id < 40; id += 2) {
    fault = victim.feed(data(id, std::string(20000, 'x')));
  }
  EXPECT_EQ(fault, Fatal::none);
  EXPECT_EQ(sinks[0].reset_by, ResetReason::pressure);
  for (std::size_t i = 1; i < sinks.size(); ++i) EXPECT_FALSE(sinks[i].reset_by.has_value()) << i;
}

TEST(Hostile, TheRungsOfTheLadder) {  // §1.9
  Victim victim(small_budget());
  std::vector<TextSink> sinks(10);
  std::size_t n = 0;
  victim.peer.accept = [&](StreamHandle s) {
    sinks[n].room = 0;
    victim.peer.session.attach(s, nullptr, &sinks[n++]);
  };
  ASSERT_EQ(fill(victim, 10, 50000, 10000), Fatal::none);
  const auto percent = [&] { return victim.stats().held * 100 >> 20; };
  const auto resets = [&] {
    return std::count_if(sinks.begin(), sinks.end(),
                         [](auto& s) { return s.reset_by.has_value(); });
  };
  const std::string piece(1000, 'x');
  std::uint32_t id = 1;  // the first four take the lead
  const auto more = [&] { return victim.feed(data(id = id == 7 ? 1 : id + 2, piece)); };

  // Nobody is reset who took something within 5 s; at 90 % reading pauses.
  while (percent() < 90) {
    EXPECT_TRUE(victim.peer.session.wants_feed()) << percent();
    ASSERT_EQ(more(), Fatal::none);
  }
  EXPECT_FALSE(victim.peer.session.wants_feed());
  EXPECT_EQ(resets(), 0);

  // The first takes something, later; when the 5 s are over the largest of the others goes.
  victim.now += 4s;
  sinks[0].room = 10;
  ASSERT_EQ(victim.feed(""), Fatal::none);
  victim.peer.session.resume(victim.peer.opened[0]);
  victim.now += 2s;
  ASSERT_EQ(victim.feed(data(19, "x")), Fatal::none);
  EXPECT_EQ(resets(), 1);
  EXPECT_TRUE(sinks[1].reset_by || sinks[2].reset_by || sinks[3].reset_by);

  // Below 75 % the driver is told to read again, once.
  EXPECT_EQ(victim.peer.feeds_wanted, victim.peer.session.wants_feed() ? 1 : 0);
  for (std::size_t i = 2; i < 6; ++i) {
    sinks[i].room = SIZE_MAX;
    victim.peer.session.resume(victim.peer.opened[i]);
  }
  EXPECT_TRUE(victim.peer.session.wants_feed());
  EXPECT_EQ(victim.peer.feeds_wanted, 1);
}

TEST(Hostile, RoomMadeBecauseOfAResetIsUsedAtOnce) {
  Victim victim(small_budget());
  TextSink largest, other;
  largest.room = other.room = 0;
  victim.peer.accept = [&](StreamHandle s) {
    victim.peer.session.attach(s, nullptr, victim.peer.opened.size() == 1 ? &largest : &other);
  };
  ASSERT_EQ(fill(victim, 2, 250'000, 10'000), Fatal::none);
  ASSERT_EQ(victim.feed(data(5, std::string(250'000, 'x'), flag::syn)), Fatal::none);
  ASSERT_EQ(victim.feed(data(7, std::string(210'000, 'x'), flag::syn)), Fatal::none);
  // The next bytes do not fit; the largest goes, and whoever hears of it gives the other one room.
  largest.on_reset = [&] {
    other.room = SIZE_MAX;
    for (std::size_t i = 1; i < 4; ++i) victim.peer.session.resume(victim.peer.opened[i]);
  };
  ASSERT_EQ(victim.feed(data(1, std::string(10'000, 'x'))), Fatal::none);
  while (!largest.reset_by) ASSERT_EQ(victim.feed(data(7, std::string(10'000, 'x'))), Fatal::none);
  EXPECT_EQ(victim.stats().buffered, 0u);
}

TEST(Hostile, APauseEndsByItselfAndCostsNoHealthyStream) {  // §1.9
  Config config = Config::bare(Role::server);
  config.receive_budget = 1 << 20;
  Victim victim(config);
  Session& session = victim.peer.session;
  std::vector<TextSink> sinks(10);
  std::size_t n = 0;
  victim.peer.accept = [&](StreamHandle s) {
    sinks[n].room = 0;
    session.attach(s, nullptr, &sinks[n++]);
  };
  TextSink own;
  session.attach(*session.open(victim.now), nullptr, &own);
  ASSERT_EQ(fill(victim, 10, 98000, 1000), Fatal::none);
  ASSERT_FALSE(session.wants_feed());
  static_cast<void>(victim.peer.take());

  // Nothing is fed from here on. Long after every deadline but that of the pause, only stalled
  // streams have been reset, as few as it takes, and the peer is not taken for dead.
  const Time end = victim.now + 5s;
  while (!session.wants_feed()) {
    ASSERT_LE(session.next_deadline(), end + 1s);
    victim.now = session.next_deadline();
    ASSERT_EQ(session.on_deadline(victim.now), Fatal::none);
  }
  EXPECT_GE(victim.now, end);
  EXPECT_EQ(victim.peer.feeds_wanted, 1);
  EXPECT_LE(
      std::count_if(sinks.begin(), sinks.end(), [](auto& s) { return s.reset_by.has_value(); }), 3);
  EXPECT_EQ(session.next_deadline(), victim.now + limits::kPingIntervalBare);
  victim.now += limits::kOpenTimeoutBare - 1ns;
  ASSERT_EQ(victim.feed(""), Fatal::none);
  EXPECT_FALSE(own.reset_by.has_value());
}

TEST(Hostile, ReceiversThatTrickleCannotKeepAPauseGoing) {  // §1.9
  Config config = Config::bare(Role::server);
  config.receive_budget = 1 << 20;
  Victim victim(config);
  Session& session = victim.peer.session;
  std::vector<TextSink> sinks(10);
  std::size_t n = 0;
  victim.peer.accept = [&](StreamHandle s) {
    sinks[n].room = 0;
    session.attach(s, nullptr, &sinks[n++]);
  };
  ASSERT_EQ(fill(victim, 10, 98000, 1000), Fatal::none);
  ASSERT_FALSE(session.wants_feed());
  static_cast<void>(victim.peer.take());

  const Time begun = victim.now;
  Time trickle = begun;
  while (!session.wants_feed()) {
    victim.now = std::min(session.next_deadline(), trickle);
    ASSERT_LE(victim.now - begun, limits::kFeedPause + 1s);
    if (victim.now == trickle) {  // each takes a byte a second: none has ever stalled
      trickle += 1s;
      for (std::size_t i = 0; i < n; ++i) {
        if (sinks[i].reset_by) continue;
        ++sinks[i].room;
        session.resume(victim.peer.opened[i]);
      }
    } else {
      ASSERT_EQ(session.on_deadline(victim.now), Fatal::none);
    }
  }
  EXPECT_GE(victim.now - begun, limits::kFeedPause);
  const auto reset =
      std::count_if(sinks.begin(), sinks.end(), [](auto& s) { return s.reset_by.has_value(); });
  EXPECT_GE(reset, 1);
  EXPECT_LE(reset, 3);
}

// --- threat 8 ---

TEST(Hostile, SilenceEndsABareSessionButBytesKeepItAlive) {  // §1.6
  Victim victim(Config::bare(Role::server));
  Session& session = victim.peer.session;
  EXPECT_EQ(session.next_deadline(), victim.now + limits::kPingIntervalBare);
  victim.now += limits::kPingIntervalBare;
  EXPECT_EQ(session.on_deadline(victim.now), Fatal::none);
  EXPECT_EQ(headers(victim.peer.take()).size(), 1u);

  // Our ping is never answered, but bytes arrive, one at a time.
  const std::string slow = data(1, std::string(60, 'x'), flag::syn);
  for (const char& c : slow) {
    victim.now = session.next_deadline() - 1ns;
    ASSERT_EQ(session.on_deadline(victim.now), Fatal::none);
    ASSERT_EQ(victim.feed({&c, 1}), Fatal::none);
    static_cast<void>(victim.peer.take());
  }
  EXPECT_EQ(session.next_deadline(), victim.now + limits::kPingTimeoutBare);
  victim.now = session.next_deadline();
  EXPECT_EQ(session.on_deadline(victim.now), Fatal::ping_timeout);
  EXPECT_EQ(session.next_deadline(), kNever);
}

TEST(Hostile, ACarrierThatTakesNothingEndsABareSession) {
  Victim victim(Config::bare(Role::server));
  Session& session = victim.peer.session;
  ASSERT_EQ(victim.feed(window(1, 0, flag::syn)), Fatal::none);  // its ACK waits
  const Time begin = victim.now;
  const std::string one = data(1, "x");
  std::vector<std::uint8_t> out(12);
  for (const bool moves : {true, false}) {
    // Bytes arrive all the time; as long as something leaves now and then all is well.
    for (int i = 0; i < 29; ++i) {
      victim.now += 1s;
      ASSERT_EQ(victim.feed(one), Fatal::none);
      ASSERT_EQ(session.on_deadline(victim.now), Fatal::none);
    }
    if (moves) {
      ASSERT_EQ(session.pull(out, victim.now), 12u);
      ASSERT_EQ(victim.feed(frame(Type::ping, flag::syn, 0, 1)), Fatal::none);
    }
  }
  EXPECT_EQ(session.next_deadline(), begin + 29s + limits::kWriteTimeoutBare);
  EXPECT_EQ(session.on_deadline(victim.now + 1s), Fatal::write_timeout);
  EXPECT_FALSE(session.wants_pull());
}

TEST(Hostile, NothingToSendIsNoStuckCarrier) {
  Victim victim(Config::bare(Role::server));
  ASSERT_EQ(victim.feed(window(1, 0, flag::syn)), Fatal::none);
  static_cast<void>(victim.peer.take());
  for (int i = 0; i < 100; ++i) {
    victim.now += 2s;
    ASSERT_EQ(victim.feed(data(1, "x")), Fatal::none);
    ASSERT_EQ(victim.peer.session.on_deadline(victim.now), Fatal::none);
  }
}

// --- threat 9 ---

TEST(Hostile, OneStalledReaderHoldsUpNobodyElse) {
  Pair pair;
  constexpr std::size_t kStreams = 100;
  std::vector<BulkSource> sources(kStreams);
  std::vector<TextSink> sinks(kStreams);
  std::size_t n = 0;
  pair.server.accept = [&](StreamHandle s) {
    if (n == 0) sinks[n].room = 0;
    pair.server.session.attach(s, nullptr, &sinks[n++]);
  };
  for (BulkSource& source : sources) {
    pair.client.session.attach(*pair.client.session.open(pair.now), &source, nullptr);
  }
  for (int i = 0; i < 20000 / kScale; ++i) {
    std::vector<std::uint8_t> out(16381);
    const std::size_t there = pair.client.session.pull(out, pair.now);
    ASSERT_EQ(pair.server.session.feed(Bytes(out).first(there), pair.now), Fatal::none);
    const std::size_t back = pair.server.session.pull(out, pair.now);
    ASSERT_EQ(pair.client.session.feed(Bytes(out).first(back), pair.now), Fatal::none);
  }
  EXPECT_EQ(sinks[0].text.size(), 0u);
  const std::size_t share = 20000 / kScale * std::size_t{16369} / kStreams;
  for (std::size_t i = 1; i < kStreams; ++i) {
    EXPECT_NEAR(static_cast<double>(sinks[i].text.size()), static_cast<double>(share),
                static_cast<double>(share) * 0.15 + 16384)
        << i;
  }
}

}  // namespace
}  // namespace leat::mux::test
