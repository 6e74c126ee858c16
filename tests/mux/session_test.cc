// Two sessions, or one and hand-made frames: what passes on the wire and what the owners of streams
// see.

#include "mux/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mux/mux_harness.h"

namespace leat::mux::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kWindow = Type::window_update;

TEST(Session, EchoesAndHalfClosesBothWays) {
  Pair pair;
  TextSource request, answer;
  TextSink got_request, got_answer;
  request.text = "hello";
  request.ends = true;
  answer.text = "world";
  pair.server.accept = [&](StreamHandle s) {
    pair.server.session.attach(s, &answer, &got_request);
  };

  const StreamHandle stream = *pair.client.session.open(pair.now);
  pair.client.session.attach(stream, &request, &got_answer);
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_EQ(got_request.text, "hello");
  EXPECT_TRUE(got_request.ended);
  EXPECT_EQ(got_answer.text, "world");
  EXPECT_FALSE(got_answer.ended);
  EXPECT_TRUE(pair.client.session.alive(stream));

  answer.ends = true;
  EXPECT_TRUE(pair.server.session.wake(pair.server.opened[0]));
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_TRUE(got_answer.ended);
  EXPECT_FALSE(pair.client.session.alive(stream));
  EXPECT_FALSE(pair.server.session.alive(pair.server.opened[0]));
  EXPECT_EQ(pair.client.session.stats().streams, 0u);
}

TEST(Session, OpensWithAnEmptySynAndOneFlagPerFrame) {  // §1.2
  Config config = Config::native(Role::client);
  config.initial_window = 1 << 20;
  Pair pair(config);
  TextSource source;
  source.text = "x";
  source.ends = true;
  const StreamHandle stream = *pair.client.session.open(pair.now);
  pair.client.session.attach(stream, &source, nullptr);
  EXPECT_THAT(headers(pair.client.take()),
              ElementsAre(Header{kWindow, flag::syn, 1, 0},
                          Header{kWindow, 0, 1, (1 << 20) - limits::kInitialWindow},
                          Header{Type::data, 0, 1, 1}, Header{kWindow, flag::fin, 1, 0}));
}

TEST(Session, AcknowledgesAtOnceAndOnce) {  // §1.2
  Peer server(Config::native(Role::server));
  TextSource source;
  source.text = "now";
  server.accept = [&](StreamHandle s) { server.session.attach(s, &source, nullptr); };
  ASSERT_EQ(server.session.feed(as_bytes(data(1, "hi", flag::syn)), Time{}), Fatal::none);
  EXPECT_THAT(headers(server.take()),
              ElementsAre(Header{kWindow, flag::ack, 1, 0}, Header{Type::data, 0, 1, 3}));
  ASSERT_EQ(server.session.feed(as_bytes(data(1, "hi")), Time{}), Fatal::none);
  EXPECT_THAT(headers(server.take()), IsEmpty());
}

TEST(Session, OneBulkStreamFillsARecordExactly) {
  Pair pair;
  BulkSource source;
  const StreamHandle stream = *pair.client.session.open(pair.now);
  std::vector<std::uint8_t> record(16381);
  ASSERT_EQ(pair.client.session.pull(record, pair.now), 12u);  // SYN
  pair.client.session.attach(stream, &source, nullptr);
  ASSERT_EQ(pair.client.session.pull(record, pair.now), record.size());
  EXPECT_THAT(headers(as_chars(record)), ElementsAre(Header{Type::data, 0, 1, 16369}));
}

TEST(Session, EndComesAfterTheLastByteIsTaken) {
  Peer server(Config::native(Role::server));
  TextSink sink;
  sink.room = 2;
  server.accept = [&](StreamHandle s) { server.session.attach(s, nullptr, &sink); };
  ASSERT_EQ(server.session.feed(as_bytes(data(1, "hello", flag::syn | flag::fin)), Time{}),
            Fatal::none);
  EXPECT_EQ(sink.text, "he");
  EXPECT_FALSE(sink.ended);
  EXPECT_EQ(server.session.buffered(server.opened[0]), 3u);
  sink.room = 3;
  server.session.resume(server.opened[0]);
  EXPECT_EQ(sink.text, "hello");
  EXPECT_TRUE(sink.ended);
}

// Takes whatever pieces there are, and keeps how they came.
struct PieceSink final : Sink {
  std::vector<std::string> calls;
  bool ended = false;
  std::size_t deliver(Bytes data) override { return deliver_pieces({&data, 1}); }
  std::size_t deliver_pieces(std::span<const Bytes> pieces) override {
    std::size_t size = 0;
    std::string& call = calls.emplace_back();
    for (const Bytes piece : pieces) {
      size += piece.size();
      call += std::string(as_chars(piece)) + ".";
    }
    return size;
  }
  void end() override { ended = true; }
  void reset(ResetReason) override {}
};

TEST(Session, DataThatIsFedTogetherReachesItsSinkTogether) {
  Peer server(Config::native(Role::server));
  std::array<PieceSink, 2> sinks;
  server.accept = [&](StreamHandle s) {
    server.session.attach(s, nullptr, &sinks[server.opened.size() - 1]);
  };
  const auto feed = [&](const std::string& wire, bool more = true) {
    ASSERT_EQ(server.session.feed(as_bytes(wire), Time{}, more), Fatal::none);
  };
  const std::string a = data(1, "aa", flag::syn), b = data(1, "bb"), credit = window(1, 5),
                    c = data(1, "cc"), other = data(3, "x", flag::syn), d = data(1, "dd"),
                    fin = window(1, 0, flag::fin);
  feed(a);
  feed(b);
  feed(credit);
  feed(c);
  EXPECT_TRUE(sinks[0].calls.empty());
  feed(other);  // nobody is told of it before the data that came first
  EXPECT_THAT(sinks[0].calls, ElementsAre("aa.bb.cc."));
  EXPECT_TRUE(sinks[1].calls.empty());
  feed(d);  // of another stream: what waits is handed over
  EXPECT_THAT(sinks[1].calls, ElementsAre("x."));
  feed(fin);
  EXPECT_THAT(sinks[0].calls, ElementsAre("aa.bb.cc.", "dd."));
  EXPECT_TRUE(sinks[0].ended);
  const std::string e = data(3, "y");
  feed(e);
  feed("", false);
  EXPECT_THAT(sinks[1].calls, ElementsAre("x.", "y."));
}

TEST(Session, WhatIsFedTogetherMayBeTakenInPart) {
  Peer server(Config::native(Role::server));
  TextSink sink;  // knows nothing of pieces
  sink.room = 3;
  server.accept = [&](StreamHandle s) { server.session.attach(s, nullptr, &sink); };
  const std::string a = data(1, "aa", flag::syn), b = data(1, "bb"), c = data(1, "cc");
  for (const std::string* const wire : {&a, &b, &c}) {
    ASSERT_EQ(server.session.feed(as_bytes(*wire), Time{}, true), Fatal::none);
  }
  ASSERT_EQ(server.session.feed({}, Time{}), Fatal::none);
  EXPECT_EQ(sink.text, "aab");
  EXPECT_EQ(server.session.buffered(server.opened[0]), 3u);
  sink.room = SIZE_MAX;
  server.session.resume(server.opened[0]);
  EXPECT_EQ(sink.text, "aabbcc");
  // A fault loses nothing that came before it.
  const std::string d = data(1, "dd"), bad(12, '\xff');
  ASSERT_EQ(server.session.feed(as_bytes(d), Time{}, true), Fatal::none);
  EXPECT_EQ(server.session.feed(as_bytes(bad), Time{}, true), Fatal::bad_version);
  EXPECT_EQ(sink.text, "aabbccdd");
}

TEST(Session, ASinkMayHandTheRestToTheNextOwner) {
  Peer server(Config::native(Role::server));
  TextSink preamble, rest;
  preamble.room = 4;
  preamble.on_deliver = [&] { server.session.attach(server.opened[0], nullptr, &rest); };
  server.accept = [&](StreamHandle s) { server.session.attach(s, nullptr, &preamble); };
  const std::string wire = data(1, "HEADbody", flag::syn | flag::fin);
  ASSERT_EQ(server.session.feed(as_bytes(wire), Time{}), Fatal::none);
  EXPECT_EQ(preamble.text, "HEAD");
  EXPECT_EQ(rest.text, "body");
  EXPECT_FALSE(preamble.ended);
  EXPECT_TRUE(rest.ended);
}

TEST(Session, ASinkMayLetGoAndTheRestWaits) {
  Peer server(Config::native(Role::server));
  TextSink preamble, rest;
  preamble.room = 4;
  preamble.on_deliver = [&] { server.session.detach(server.opened[0]); };
  server.accept = [&](StreamHandle s) { server.session.attach(s, nullptr, &preamble); };
  ASSERT_EQ(server.session.feed(as_bytes(data(1, "HEADbody", flag::syn | flag::fin)), Time{}),
            Fatal::none);
  EXPECT_EQ(server.session.buffered(server.opened[0]), 4u);
  server.session.attach(server.opened[0], nullptr, &rest);
  EXPECT_EQ(rest.text, "body");
  EXPECT_TRUE(rest.ended);
}

TEST(Session, ASinkMayResetItsStreamInTheMiddleOfAFrame) {
  Peer server(Config::native(Role::server));
  TextSink sink;
  sink.on_deliver = [&] { server.session.reset(server.opened[0]); };
  server.accept = [&](StreamHandle s) { server.session.attach(s, nullptr, &sink); };
  const std::string wire = data(1, "0123456789", flag::syn | flag::fin) + data(3, "x", flag::syn);
  ASSERT_EQ(server.session.feed(as_bytes(wire).first(15), Time{}), Fatal::none);
  EXPECT_EQ(sink.text, "012");
  // The rest of the frame is skipped, across calls, and the next frame found.
  ASSERT_EQ(server.session.feed(as_bytes(wire).subspan(15, 3), Time{}), Fatal::none);
  sink.on_deliver = [] {};
  ASSERT_EQ(server.session.feed(as_bytes(wire).subspan(18), Time{}), Fatal::none);
  EXPECT_EQ(sink.text, "012x");
  EXPECT_FALSE(sink.ended);
  EXPECT_FALSE(sink.reset_by.has_value());
  EXPECT_THAT(headers(server.take()),
              ElementsAre(Header{kWindow, flag::rst, 1, 0}, Header{kWindow, flag::ack, 3, 0}));
}

TEST(Session, ResetFromThePeerAfterOurFin) {
  Pair pair;
  TextSource source;
  source.ends = true;
  TextSink sink;
  const StreamHandle stream = *pair.client.session.open(pair.now);
  pair.client.session.attach(stream, &source, &sink);
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_TRUE(pair.server.session.reset(pair.server.opened[0]));
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_EQ(sink.reset_by, ResetReason::peer);
  EXPECT_FALSE(pair.client.session.alive(stream));
}

TEST(Session, ResetAfterTheEndTellsThatNoMoreIsWanted) {
  Pair pair;
  TextSource ended;
  ended.ends = true;
  TextSink sink;
  pair.server.accept = [&](StreamHandle s) { pair.server.session.attach(s, nullptr, &sink); };
  const StreamHandle stream = *pair.client.session.open(pair.now);
  pair.client.session.attach(stream, &ended, nullptr);
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_TRUE(sink.ended);
  pair.client.session.reset(stream);
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_EQ(sink.reset_by, ResetReason::peer);
}

TEST(Session, AFinThatIsOwedLeavesEvenIfTheOwnerLetsGo) {
  Peer server(Config::native(Role::server));
  Session& session = server.session;
  TextSource source;
  source.ends = true;
  TextSink sink;
  const std::string half(limits::kInitialWindow / 2, 'x');
  ASSERT_EQ(session.feed(as_bytes(window(1, 0, flag::syn)), Time{}), Fatal::none);
  static_cast<void>(server.take());
  ASSERT_EQ(session.feed(as_bytes(window(3, 0, flag::syn)), Time{}), Fatal::none);
  session.attach(server.opened[0], &source, &sink);
  ASSERT_EQ(session.feed(as_bytes(data(1, half)), Time{}), Fatal::none);
  // Room for the other stream's ACK and for this one's credit, not for the FIN behind it.
  std::vector<std::uint8_t> out(26);
  ASSERT_EQ(session.pull(out, Time{}), 24u);
  EXPECT_THAT(headers(as_chars(Bytes(out).first(24))),
              ElementsAre(Header{kWindow, flag::ack, 3, 0},
                          Header{kWindow, 0, 1, limits::kInitialWindow / 2}));
  ASSERT_EQ(session.feed(as_bytes(window(1, 0, flag::fin)), Time{}), Fatal::none);
  EXPECT_TRUE(sink.ended);
  EXPECT_TRUE(session.reset(server.opened[0]));
  EXPECT_THAT(headers(server.take()), ElementsAre(Header{kWindow, flag::fin, 1, 0}));
}

TEST(Session, ABrokenSourceResets) {
  Pair pair;
  TextSource source;
  source.broken = true;
  TextSink sink;
  pair.server.accept = [&](StreamHandle s) { pair.server.session.attach(s, nullptr, &sink); };
  const StreamHandle stream = *pair.client.session.open(pair.now);
  pair.client.session.attach(stream, &source, nullptr);
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_EQ(sink.reset_by, ResetReason::peer);
  EXPECT_FALSE(pair.client.session.alive(stream));
}

TEST(Session, AStreamResetBeforeItsSynLeftIsNeverSeen) {
  Pair pair;
  const StreamHandle stream = *pair.client.session.open(pair.now);
  pair.client.session.reset(stream);
  EXPECT_THAT(pair.client.take(), IsEmpty());
  EXPECT_NE(pair.client.session.open(pair.now), std::nullopt);
  EXPECT_THAT(headers(pair.client.take()), ElementsAre(Header{kWindow, flag::syn, 3, 0}));
}

TEST(Session, CreditReturnsInBatchesWhenBytesAreTaken) {
  Pair pair;
  BulkSource source;
  TextSink sink;
  sink.room = 0;
  pair.server.accept = [&](StreamHandle s) { pair.server.session.attach(s, nullptr, &sink); };
  const StreamHandle stream = *pair.client.session.open(pair.now);
  pair.client.session.attach(stream, &source, nullptr);
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_EQ(source.sent, limits::kInitialWindow);
  EXPECT_EQ(pair.server.session.buffered(pair.server.opened[0]), limits::kInitialWindow);

  const std::uint32_t grant = limits::kInitialWindow / 2 - limits::kMaxFrameBare;
  sink.room = grant - 1;
  pair.server.session.resume(pair.server.opened[0]);
  EXPECT_THAT(pair.server.take(), IsEmpty());
  sink.room = 1;
  pair.server.session.resume(pair.server.opened[0]);
  EXPECT_THAT(headers(pair.server.take()), ElementsAre(Header{kWindow, 0, 1, grant}));
}

TEST(Session, EndAllTellsEverySinkAndThenRefuses) {
  Pair pair;
  TextSink a, b;
  pair.client.session.attach(*pair.client.session.open(pair.now), nullptr, &a);
  pair.client.session.attach(*pair.client.session.open(pair.now), nullptr, &b);
  pair.client.session.end_all();
  EXPECT_EQ(a.reset_by, ResetReason::session_end);
  EXPECT_EQ(b.reset_by, ResetReason::session_end);
  EXPECT_EQ(pair.client.session.open(pair.now), std::nullopt);
  EXPECT_THAT(pair.client.take(), IsEmpty());
  EXPECT_EQ(pair.client.session.next_deadline(), kNever);
}

TEST(Session, AStaleHandleNeverReachesTheSlotsNextStream) {
  Pair pair;
  const StreamHandle first = *pair.client.session.open(pair.now);
  pair.client.session.reset(first);
  const StreamHandle second = *pair.client.session.open(pair.now);
  ASSERT_EQ(first.slot, second.slot);
  EXPECT_FALSE(pair.client.session.alive(first));
  EXPECT_FALSE(pair.client.session.reset(first));
  EXPECT_FALSE(pair.client.session.wake(first));
  EXPECT_FALSE(pair.client.session.attach(first, nullptr, nullptr));
  EXPECT_EQ(pair.client.session.id(first), 0u);
  EXPECT_TRUE(pair.client.session.alive(second));
}

TEST(Session, AnUnansweredSynIsGivenUp) {  // §1.6
  Pair pair;
  TextSink sink;
  const StreamHandle stream = *pair.client.session.open(pair.now);
  pair.client.session.attach(stream, nullptr, &sink);
  static_cast<void>(pair.client.take());
  EXPECT_EQ(pair.client.session.next_deadline(), pair.now + 5s);
  EXPECT_EQ(pair.client.session.on_deadline(pair.now + 5s - 1ns), Fatal::none);
  EXPECT_FALSE(sink.reset_by.has_value());
  EXPECT_EQ(pair.client.session.on_deadline(pair.now + 5s), Fatal::none);
  EXPECT_EQ(sink.reset_by, ResetReason::open_timeout);
  EXPECT_THAT(headers(pair.client.take()), ElementsAre(Header{kWindow, flag::rst, 1, 0}));
}

TEST(Session, PingsAndPongs) {  // §1.6
  Pair pair;
  pair.client.session.ping(pair.now);
  pair.client.session.ping(pair.now);
  const std::string ask = pair.client.take();
  ASSERT_EQ(headers(ask).size(), 1u);
  ASSERT_EQ(pair.server.session.feed(as_bytes(ask), pair.now), Fatal::none);
  const std::string answer = pair.server.take();
  const std::uint32_t value = headers(ask)[0].length;
  EXPECT_THAT(headers(answer), ElementsAre(Header{Type::ping, flag::ack, 0, value}));
  // A wrong value is no answer.
  const std::string wrong = frame(Type::ping, flag::ack, 0, value + 1);
  ASSERT_EQ(pair.client.session.feed(as_bytes(wrong), pair.now + 1s), Fatal::none);
  EXPECT_EQ(pair.client.session.stats().ping_rtt, Duration::zero());
  ASSERT_EQ(pair.client.session.feed(as_bytes(answer), pair.now + 2s), Fatal::none);
  EXPECT_EQ(pair.client.session.stats().ping_rtt, Duration(2s));
}

TEST(Session, WantPullComesOnceUntilAPullFindsNothing) {
  Pair pair;
  Peer& client = pair.client;
  ASSERT_NE(client.session.open(pair.now), std::nullopt);
  ASSERT_NE(client.session.open(pair.now), std::nullopt);
  EXPECT_EQ(client.wants, 1);
  std::vector<std::uint8_t> out(12);
  EXPECT_EQ(client.session.pull(out, pair.now), 12u);
  ASSERT_NE(client.session.open(pair.now), std::nullopt);
  EXPECT_EQ(client.wants, 1);
  static_cast<void>(client.take());
  ASSERT_NE(client.session.open(pair.now), std::nullopt);
  EXPECT_EQ(client.wants, 2);
}

// --- go-away (§1.6) ---

TEST(Session, GoAwayZeroEndsOpeningAndNothingElse) {
  Pair pair;
  TextSource source;
  source.text = "still here";
  TextSink sink;
  pair.server.accept = [&](StreamHandle s) { pair.server.session.attach(s, nullptr, &sink); };
  const StreamHandle stream = *pair.client.session.open(pair.now);
  ASSERT_EQ(pair.settle(), Fatal::none);

  pair.server.session.go_away(GoAway::normal);
  EXPECT_EQ(pair.server.session.open(pair.now), std::nullopt);
  ASSERT_NE(pair.client.session.open(pair.now), std::nullopt);  // it has not heard of it yet
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_EQ(pair.client.go_aways, 1);
  EXPECT_EQ(pair.client.session.open(pair.now), std::nullopt);
  EXPECT_EQ(pair.server.session.stats().refused, 1u);
  EXPECT_EQ(pair.client.session.stats().streams, 1u);

  pair.client.session.attach(stream, &source, nullptr);
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_EQ(sink.text, "still here");
  ASSERT_EQ(pair.client.session.feed(as_bytes(frame(Type::go_away, 0, 0, 0)), pair.now),
            Fatal::none);
  EXPECT_EQ(pair.client.go_aways, 1);
  pair.server.session.go_away(GoAway::normal);
  EXPECT_THAT(pair.server.take(), IsEmpty());  // once is enough
}

TEST(Session, AnyOtherGoAwayEndsTheSessionWithoutAnswer) {
  for (const std::uint32_t code : {1u, 2u, 3u, 0xffffffffu}) {
    Peer server(Config::native(Role::server));
    EXPECT_EQ(server.session.feed(as_bytes(frame(Type::go_away, 0, 0, code)), Time{}),
              Fatal::go_away);
    EXPECT_THAT(server.take(), IsEmpty());
    EXPECT_FALSE(server.session.wants_pull());
  }
}

TEST(Session, AFaultSaysGoAwayAndNothingMore) {
  Peer server(Config::native(Role::server));
  BulkSource source;
  server.accept = [&](StreamHandle s) { server.session.attach(s, &source, nullptr); };
  const std::string wire =
      window(1, 0, flag::syn) + frame(Type::ping, flag::syn, 0, 5) + "junk junk junk";
  EXPECT_EQ(server.session.feed(as_bytes(wire), Time{}), Fatal::bad_version);
  EXPECT_EQ(server.session.feed(as_bytes(wire), Time{}), Fatal::bad_version);
  EXPECT_THAT(headers(server.take()), ElementsAre(Header{Type::go_away, 0, 0, 1}));
  EXPECT_EQ(server.session.open(Time{}), std::nullopt);
  EXPECT_EQ(source.sent, 0u);
}

}  // namespace
}  // namespace leat::mux::test
