// Against hashicorp/yamux, in both roles: each rule of docs/protocol.md §1 on which implementations
// differ.

#include <gtest/gtest.h>

#include <deque>

#include "interop/yamux_peer.h"

namespace leat::mux::interop {
namespace {

constexpr std::size_t kWindow = limits::kInitialWindow;

class YamuxGo : public YamuxInterop, public testing::WithParamInterface<Role> {
 protected:
  std::vector<std::string> command() const override { return {LEAT_YAMUX_GO_PEER}; }
  Role role() const override { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(As, YamuxGo, testing::Values(Role::client, Role::server),
                         [](const auto& role) {
                           return std::string(role.param == Role::client ? "Client" : "Server");
                         });

TEST_P(YamuxGo, WeOpenTheyEcho) {
  start("echo");
  std::deque<PatternSource> sources;
  std::deque<PatternSink> sinks;
  for (std::size_t i = 0; i < 20; ++i) {
    open(&sources.emplace_back(std::uint8_t{7}, i * 5000), &sinks.emplace_back(std::uint8_t{7}));
  }
  ASSERT_TRUE(all_closed());
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(sinks[i].correct && sinks[i].ended);
    EXPECT_EQ(sinks[i].received, i * 5000);
  }
  peer->tell();
}

TEST_P(YamuxGo, TheyOpenWeEcho) {
  start("open");
  echo_what_they_open();
  ASSERT_TRUE(peer->run_until([&] { return peer->opened.size() == 20; }));
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxGo, OneByteAtATimeOnTheConnection) {
  start("open", {}, 1);
  echo_what_they_open();
  ASSERT_TRUE(peer->run_until([&] { return peer->opened.size() == 20; }));
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxGo, OneByteInAFrame) {
  start("open-tiny");
  echo_what_they_open();
  ASSERT_TRUE(first_opened());
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxGo, OpenedNeverUsedClosed) {
  start("open-unused");
  echo_what_they_open();
  ASSERT_TRUE(peer->run_until([&] { return peer->opened.size() == 10; }));
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxGo, SixteenMebibytesBothWaysAtOnceOnOurStream) {
  start("bulk");
  PatternSource source(1, 16 << 20);
  PatternSink sink(2);
  open(&source, &sink);
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(sink.correct && sink.ended);
  EXPECT_EQ(sink.received, std::size_t{16} << 20);
  peer->tell();
}

TEST_P(YamuxGo, SixteenMebibytesBothWaysAtOnceOnTheirStreamWithALargeWindow) {
  start("bulk-open", {"-wide"});
  PatternSource source(1, 16 << 20);
  PatternSink sink(2);
  peer->accept = [&](StreamHandle s) { peer->session().attach(s, &source, &sink); };
  ASSERT_TRUE(first_opened());
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(sink.correct && sink.ended);
  EXPECT_EQ(sink.received, std::size_t{16} << 20);
  peer->tell();
}

TEST_P(YamuxGo, WeFinishFirst) {
  start("half-close-them");
  PatternSource source(1, 10);
  PatternSink sink(2);
  open(&source, &sink);
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(sink.correct && sink.ended);
  EXPECT_EQ(sink.received, std::size_t{1} << 20);
  peer->tell();
}

TEST_P(YamuxGo, TheyFinishFirst) {
  start("half-close-us");
  PatternSource source(1, 100'000, false);
  PatternSink sink(2);
  peer->accept = [&](StreamHandle s) { peer->session().attach(s, &source, &sink); };
  ASSERT_TRUE(peer->run_until([&] { return sink.ended; }));
  EXPECT_TRUE(sink.correct);
  EXPECT_EQ(sink.received, std::size_t{1} << 20);
  ASSERT_TRUE(peer->run_until([&] { return source.sent == source.total; }));
  source.ends = true;
  peer->session().wake(peer->opened[0]);
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxGo, WeStopAtExactlyTheirWindow) {
  start("stall-us");
  PatternSource source(1, 2 * kWindow);
  PatternSink sink(2);
  open(&source, &sink);
  ASSERT_TRUE(peer->run_until([&] { return source.sent == kWindow; }));
  ASSERT_TRUE(peer->round_trip());
  EXPECT_EQ(source.sent, kWindow);
  peer->tell();
  ASSERT_TRUE(all_closed());
  EXPECT_EQ(source.sent, 2 * kWindow);
  EXPECT_TRUE(sink.ended);
  peer->tell();
}

TEST_P(YamuxGo, TheyStopAtExactlyOurWindow) {
  start("stall-them");
  PatternSource source(1, 0);
  PatternSink stalled(2), rest(3);
  stalled.room = 0;
  peer->accept = [&](StreamHandle s) { peer->session().attach(s, &source, &stalled); };
  ASSERT_TRUE(peer->hear("stalled"));
  ASSERT_TRUE(
      peer->run_until([&] { return peer->session().buffered(peer->opened[0]) == kWindow; }));
  stalled.room = kWindow;
  peer->session().resume(peer->opened[0]);
  ASSERT_EQ(stalled.received, kWindow);
  peer->session().attach(peer->opened[0], &source, &rest);
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(stalled.correct && rest.correct && rest.ended);
  EXPECT_EQ(rest.received, kWindow);
  peer->tell();
}

TEST_P(YamuxGo, OurLargerWindowReachesThem) {
  Config wide = config();
  wide.initial_window = 1 << 20;
  start(wide, "wide-them");
  PatternSource source(1, 0);
  PatternSink stalled(2);
  stalled.room = 0;
  peer->accept = [&](StreamHandle s) { peer->session().attach(s, &source, &stalled); };
  ASSERT_TRUE(peer->run_until([&] {
    return !peer->opened.empty() && peer->session().buffered(peer->opened[0]) == 1u << 20;
  }));
  stalled.room = SIZE_MAX;
  peer->session().resume(peer->opened[0]);
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(stalled.correct && stalled.ended);
  peer->tell();
}

TEST_P(YamuxGo, OurReset) {
  start("reset-by-them");
  PatternSource source(1, 10, false);
  PatternSink sink(2);
  const StreamHandle stream = open(&source, &sink);
  ASSERT_TRUE(peer->run_until([&] { return sink.received == 1; }));
  peer->session().reset(stream);
  ASSERT_TRUE(peer->round_trip());
  EXPECT_FALSE(sink.was_reset);
  peer->tell();
}

TEST_P(YamuxGo, TheirReset) {
  start("reset-by-us", {"-backlog", "1"});
  std::deque<PatternSource> sources;
  std::deque<PatternSink> sinks;
  for (int i = 0; i < 5; ++i) {
    open(&sources.emplace_back(std::uint8_t{1}, 10), &sinks.emplace_back(std::uint8_t{1}));
  }
  const auto resets = [&] {
    return std::count_if(sinks.begin(), sinks.end(), [](auto& s) { return s.was_reset; });
  };
  ASSERT_TRUE(peer->run_until([&] { return resets() == 4; }));
  peer->tell();
  ASSERT_TRUE(peer->run_until([&] { return sinks[0].ended; }));
  EXPECT_EQ(sinks[4].reason, ResetReason::peer);
  EXPECT_EQ(sinks[0].received, 10u);
  peer->tell();
}

TEST_P(YamuxGo, MoreThanABarePeerMayOpen) {
  start("too-many");
  echo_what_they_open();
  ASSERT_TRUE(peer->run_until([&] { return peer->session().stats().refused == 1; }));
  ASSERT_TRUE(all_closed());
  EXPECT_EQ(peer->opened.size(), 256u);
  peer->tell();
}

TEST_P(YamuxGo, TwoHundredAndFiftySevenStreamsOfTheirs) {
  start(Config::native(GetParam()), "many");
  echo_what_they_open();
  ASSERT_TRUE(peer->run_until([&] { return peer->opened.size() == 257; }));
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxGo, TwoHundredAndFiftySevenStreamsOfOurs) {
  start(Config::native(GetParam()), "echo", {"-backlog", "1000"});
  std::deque<PatternSource> sources;
  std::deque<PatternSink> sinks;
  std::vector<StreamHandle> streams;
  for (int i = 0; i < 257; ++i) {
    streams.push_back(open(&sources.emplace_back(std::uint8_t{9}, 3000, false),
                           &sinks.emplace_back(std::uint8_t{9})));
  }
  const auto all = [&](auto property) {
    return peer->run_until([&] { return std::all_of(sinks.begin(), sinks.end(), property); });
  };
  ASSERT_TRUE(all([](const PatternSink& s) { return s.received == 3000; }));
  EXPECT_EQ(peer->session().stats().streams, 257u);
  for (std::size_t i = 0; i < 257; ++i) {
    sources[i].ends = true;
    peer->session().wake(streams[i]);
  }
  ASSERT_TRUE(all([](const PatternSink& s) { return s.ended && s.correct; }));
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxGo, PingsBothWays) {
  start("ping");
  for (int i = 0; i < 20; ++i) {
    const Duration before = peer->session().stats().ping_rtt;
    peer->session().ping(std::chrono::steady_clock::now());
    ASSERT_TRUE(peer->run_until([&] { return peer->session().stats().ping_rtt != before; }));
  }
  peer->tell();
}

TEST_P(YamuxGo, PingsOnAFullLinkOfOneMbitPerSecond) { pings_on_a_full_link(); }

TEST_P(YamuxGo, TheirGoAway) {
  start("go-away-us");
  PatternSource source(1, 1 << 20);
  PatternSink sink(2);
  open(&source, &sink);
  ASSERT_TRUE(peer->run_until([&] { return peer->go_aways == 1; }));
  EXPECT_EQ(peer->session().open(std::chrono::steady_clock::now()), std::nullopt);
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(sink.correct && sink.ended);
  EXPECT_EQ(sink.received, std::size_t{1} << 20);
  peer->tell();
}

TEST_P(YamuxGo, OurGoAway) {
  start("go-away-them");
  PatternSource source(1, 0, false);
  PatternSink sink(2);
  peer->accept = [&](StreamHandle s) { peer->session().attach(s, &source, &sink); };
  ASSERT_TRUE(peer->run_until([&] { return sink.received == 1; }));
  peer->session().go_away(GoAway::normal);
  ASSERT_TRUE(peer->round_trip());
  source.total = 1;
  source.ends = true;
  peer->session().wake(peer->opened[0]);
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(sink.ended);
  peer->tell();
}

TEST_P(YamuxGo, TheyEndWithoutGoAway) {
  start("end-us");
  PatternSource source(1, 10, false);
  PatternSink sink(2);
  open(&source, &sink);
  EXPECT_FALSE(peer->run_until([] { return false; }));
  EXPECT_TRUE(peer->ended);
  EXPECT_FALSE(sink.ended);
  peer->session().end_all();
  EXPECT_EQ(sink.reason, ResetReason::session_end);
}

TEST_P(YamuxGo, WeEndWithoutGoAway) {
  start("end-them");
  PatternSink sink(2);
  peer->accept = [&](StreamHandle s) { peer->session().attach(s, nullptr, &sink); };
  ASSERT_TRUE(peer->hear("sent"));
  ASSERT_TRUE(peer->run_until([&] { return sink.received == 10; }));
  peer->hang_up();
  peer->tell();
}

}  // namespace
}  // namespace leat::mux::interop
