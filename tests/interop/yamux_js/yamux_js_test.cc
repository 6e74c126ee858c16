// Against two yamux from npm, in both roles: each rule of docs/protocol.md §1 on which
// implementations differ. What one of them lacks is said where a test is left out for it; the
// programs are in tests/peers/yamux_peer.mjs.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "interop/yamux_js/node_peer.h"

namespace leat::mux::interop {
namespace {

constexpr std::size_t kWindow = limits::kInitialWindow;

class YamuxNode : public YamuxOfNode<YamuxInterop> {
 protected:
  // yamux-js tells its user of no end; there the child counts bytes.
  std::vector<std::string> ends_after(std::size_t bytes) const {
    if (impl() == Impl::libp2p) return {};
    return {"-bytes", std::to_string(bytes)};
  }
};

// Rules that only libp2p can be asked about: yamux-js gives credit back as bytes arrive, read or
// not, and so cannot make us wait for it.
class YamuxLibp2p : public YamuxNode {};

INSTANTIATE_TEST_SUITE_P(As, YamuxNode,
                         testing::Combine(testing::Values(Impl::libp2p, Impl::yamux_js), kRoles),
                         param_name);
INSTANTIATE_TEST_SUITE_P(As, YamuxLibp2p, testing::Combine(testing::Values(Impl::libp2p), kRoles),
                         param_name);

TEST_P(YamuxNode, WeOpenTheyEcho) {
  start("echo", ends_after(50'000));
  std::deque<PatternSource> sources;
  std::deque<PatternSink> sinks;
  for (int i = 0; i < 20; ++i) {
    open(&sources.emplace_back(std::uint8_t{7}, 50'000), &sinks.emplace_back(std::uint8_t{7}));
  }
  ASSERT_TRUE(all_closed());
  for (const PatternSink& sink : sinks) {
    EXPECT_TRUE(sink.correct && sink.ended);
    EXPECT_EQ(sink.received, 50'000u);
  }
  peer->tell();
}

TEST_P(YamuxNode, TheyOpenWeEcho) {
  start("open");
  echo_what_they_open();
  ASSERT_TRUE(peer->run_until([&] { return peer->opened.size() == 20; }));
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxNode, OneByteAtATimeOnTheConnection) {
  start("open", {}, 1);
  echo_what_they_open();
  ASSERT_TRUE(peer->run_until([&] { return peer->opened.size() == 20; }));
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxNode, OneByteInAFrame) {
  start("open-tiny");
  echo_what_they_open();
  ASSERT_TRUE(first_opened());
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxNode, OpenedNeverUsedClosed) {
  start("open-unused");
  echo_what_they_open();
  ASSERT_TRUE(peer->run_until([&] { return peer->opened.size() == 10; }));
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxNode, OpenedNeverUsedClosedByUs) {
  start("echo", ends_after(0));
  std::deque<PatternSource> sources;
  std::deque<PatternSink> sinks;
  for (int i = 0; i < 10; ++i) {
    open(&sources.emplace_back(std::uint8_t{7}, 0), &sinks.emplace_back(std::uint8_t{7}));
  }
  ASSERT_TRUE(all_closed());
  for (const PatternSink& sink : sinks) EXPECT_TRUE(sink.ended);
  peer->tell();
}

TEST_P(YamuxNode, SixteenMebibytesBothWaysAtOnceOnOurStream) {
  start("bulk");
  PatternSource source(1, 16 << 20);
  PatternSink sink(2);
  open(&source, &sink);
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(sink.correct && sink.ended);
  EXPECT_EQ(sink.received, std::size_t{16} << 20);
  peer->tell();
}

TEST_P(YamuxNode, SixteenMebibytesBothWaysAtOnceOnTheirStream) {
  start("bulk-open");
  PatternSource source(1, 16 << 20);
  PatternSink sink(2);
  peer->accept = [&](StreamHandle s) { peer->session().attach(s, &source, &sink); };
  ASSERT_TRUE(first_opened());
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(sink.correct && sink.ended);
  EXPECT_EQ(sink.received, std::size_t{16} << 20);
  peer->tell();
}

TEST_P(YamuxNode, WeFinishFirst) {
  start("half-close-them");
  PatternSource source(1, 10);
  PatternSink sink(2);
  open(&source, &sink);
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(sink.correct && sink.ended);
  EXPECT_EQ(sink.received, std::size_t{1} << 20);
  peer->tell();
}

TEST_P(YamuxNode, TheyFinishFirst) {
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

TEST_P(YamuxLibp2p, WeStopAtExactlyTheirWindow) {
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

TEST_P(YamuxNode, TheyStopAtExactlyOurWindow) {
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

TEST_P(YamuxNode, OurLargerWindowReachesThem) {
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

TEST_P(YamuxNode, OurReset) {
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

TEST_P(YamuxNode, TheirReset) {
  std::vector<std::string> flags = ends_after(10);
  flags.insert(flags.end(), {"-limit", "1"});
  start("reset-by-us", flags);
  std::deque<PatternSource> sources;
  std::deque<PatternSink> sinks;
  std::vector<StreamHandle> streams;
  for (int i = 0; i < 5; ++i) {
    streams.push_back(open(&sources.emplace_back(std::uint8_t{1}, 10, false),
                           &sinks.emplace_back(std::uint8_t{1})));
  }
  ASSERT_TRUE(peer->run_until([&] {
    return std::count_if(sinks.begin(), sinks.end(), [](auto& s) { return s.was_reset; }) == 4;
  }));
  ASSERT_TRUE(peer->run_until([&] { return sinks[0].received == 10; }));
  EXPECT_EQ(sinks[4].reason, ResetReason::peer);
  sources[0].ends = true;
  peer->session().wake(streams[0]);
  ASSERT_TRUE(all_closed());
  EXPECT_TRUE(sinks[0].ended);
  peer->tell();
}

TEST_P(YamuxNode, MoreThanABarePeerMayOpen) {
  start("too-many");
  echo_what_they_open();
  ASSERT_TRUE(peer->run_until([&] { return peer->session().stats().refused == 1; }));
  ASSERT_TRUE(all_closed());
  EXPECT_EQ(peer->opened.size(), 256u);
  peer->tell();
}

TEST_P(YamuxNode, TwoHundredAndFiftySevenStreamsOfTheirs) {
  start(Config::native(role()), "many");
  echo_what_they_open();
  ASSERT_TRUE(peer->run_until([&] { return peer->opened.size() == 257; }));
  ASSERT_TRUE(all_closed());
  peer->tell();
}

TEST_P(YamuxNode, TwoHundredAndFiftySevenStreamsOfOurs) {
  start(Config::native(role()), "echo", ends_after(3000));
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

TEST_P(YamuxNode, PingsBothWays) {
  start("ping");
  for (int i = 0; i < 20; ++i) {
    const Duration before = peer->session().stats().ping_rtt;
    peer->session().ping(std::chrono::steady_clock::now());
    ASSERT_TRUE(peer->run_until([&] { return peer->session().stats().ping_rtt != before; }));
  }
  peer->tell();
}

TEST_P(YamuxNode, PingsOnAFullLinkOfOneMbitPerSecond) { pings_on_a_full_link(); }

TEST_P(YamuxNode, TheirGoAway) {
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

// libp2p ends the session on it, which is why one is sent to bare peers only when it is to end;
// yamux-js goes on with what is open.
TEST_P(YamuxNode, OurGoAway) {
  start("go-away-them");
  PatternSource source(1, 0, false);
  PatternSink sink(2);
  peer->accept = [&](StreamHandle s) { peer->session().attach(s, &source, &sink); };
  ASSERT_TRUE(peer->run_until([&] { return sink.received == 1; }));
  source.total = 1;
  source.ends = true;
  peer->session().wake(peer->opened[0]);
  ASSERT_TRUE(peer->run_until([&] { return source.sent == 1; }));
  peer->session().go_away(GoAway::normal);
  if (impl() == Impl::libp2p) {
    EXPECT_FALSE(peer->run_until([] { return false; }));
    EXPECT_TRUE(peer->ended);
  } else {
    ASSERT_TRUE(all_closed());
    EXPECT_TRUE(sink.ended);
  }
  peer->tell();
}

TEST_P(YamuxNode, TheyEndWithoutGoAway) {
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

TEST_P(YamuxNode, WeEndWithoutGoAway) {
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
