// The link's way out, its deadlines and its carriers' lives (docs/protocol.md §2.3 to §2.6).
#include "net/link.h"

#include <gtest/gtest.h>

#include "net/link_fixture.h"

namespace leat::net {
namespace {

using namespace test;

class LinkTest : public ::testing::Test {
 protected:
  // Past the ping that every carrier begins with.
  void attach_and_settle(std::uint64_t peer_received = 0) {
    ASSERT_TRUE(link.attach(peer_received, now));
    const auto first = chunks(pull(link, now));
    ASSERT_FALSE(first.empty());
    ASSERT_EQ(first[0].kind, 6);
    ASSERT_EQ(feed(link, pong(first[0].number()), now), LinkFault::none);
  }

  TestUpper upper;
  Link link{upper, Framing::chunks, 4 * limits::kLogSlab};
  Time now = kStart;
};

TEST_F(LinkTest, NothingBeforeACarrier) {
  upper.to_send = "x";
  EXPECT_FALSE(link.attached());
  EXPECT_FALSE(link.wants_pull(now));
  EXPECT_TRUE(link.pull(16384, now).empty());
  EXPECT_EQ(link.next_deadline(), kNever);
  EXPECT_EQ(feed(link, "garbage", now), LinkFault::none);
  EXPECT_EQ(link.on_deadline(now), LinkFault::none);
}

TEST_F(LinkTest, DataIsOneChunkAroundWhatTheUpperLayerWrote) {
  attach_and_settle();
  upper.to_send = "hello";
  EXPECT_EQ(pull(link, now), std::string("\0\5\4hello", 8));
  EXPECT_TRUE(link.pull(16384, now).empty());
  EXPECT_EQ(link.stats().data_sent, 5u);
}

TEST_F(LinkTest, AFullChunkFillsOneRecord) {
  attach_and_settle();
  upper.to_send = pattern(40000);
  const std::string first = pull(link, now);
  EXPECT_EQ(first.size(), 16384u);
  EXPECT_EQ(first.substr(0, 3), std::string("\x3f\xfd\4", 3));  // 16,381
  std::string got = first.substr(3);
  for (const Chunk& c : chunks(pull_all(link, now))) {
    EXPECT_EQ(c.kind, 4);
    got += c.body;
  }
  EXPECT_EQ(got, pattern(40000));
}

TEST_F(LinkTest, NoPullExceedsItsRoomAndAnyRoomOf64MakesProgress) {
  for (std::size_t max = 64; max < 20000; max = max * 5 / 4) {
    TestUpper u;
    Link l(u);
    ASSERT_TRUE(l.attach(0, now));
    ASSERT_EQ(feed(l, ping(1) + data_chunk("y"), now), LinkFault::none);
    u.to_send = pattern(5000);
    std::string got;
    int control = 0;
    while (got.size() < 5000) {
      const std::string record = pull(l, now, max);
      ASSERT_FALSE(record.empty());
      ASSERT_LE(record.size(), std::min<std::size_t>(max, 16384));
      for (const Chunk& c : chunks(record)) {
        if (c.kind == 4) {
          got += c.body;
        } else {
          ++control;
        }
      }
    }
    EXPECT_EQ(got, pattern(5000));
    EXPECT_EQ(control, 3);  // ping, pong, ack
  }
}

TEST_F(LinkTest, ControlRidesInFrontOfDataInOneRecord) {
  attach_and_settle();
  ASSERT_EQ(feed(link, ping(77) + data_chunk("abc"), now), LinkFault::none);
  upper.to_send = "out";
  EXPECT_EQ(pull(link, now), pong(77) + ack(3) + data_chunk("out"));
  EXPECT_FALSE(link.wants_pull(now + 1h));
}

// --- acknowledgements ---

TEST_F(LinkTest, AcknowledgesTenMillisecondsAfterTheFirstByte) {
  attach_and_settle();
  ASSERT_EQ(feed(link, data_chunk("abc"), now), LinkFault::none);
  EXPECT_EQ(link.next_deadline(), now + 10ms);
  now += 4ms;
  ASSERT_EQ(feed(link, data_chunk("de"), now), LinkFault::none);
  EXPECT_EQ(link.next_deadline(), now + 6ms);
  EXPECT_FALSE(link.wants_pull(now));
  EXPECT_TRUE(link.pull(16384, now).empty());
  now += 6ms;
  EXPECT_EQ(link.on_deadline(now), LinkFault::none);
  EXPECT_TRUE(link.wants_pull(now));
  EXPECT_GT(link.next_deadline(), now);  // a blocked carrier does not make the driver spin
  EXPECT_EQ(pull(link, now), ack(5));
  EXPECT_FALSE(link.wants_pull(now));
}

TEST_F(LinkTest, AcknowledgesEvery64KiBAtOnce) {
  attach_and_settle();
  for (int i = 0; i < 63; ++i)
    ASSERT_EQ(feed(link, data_chunk(pattern(1024)), now), LinkFault::none);
  ASSERT_EQ(feed(link, data_chunk(pattern(1023)), now), LinkFault::none);
  EXPECT_FALSE(link.wants_pull(now));
  ASSERT_EQ(feed(link, data_chunk("x"), now), LinkFault::none);
  EXPECT_TRUE(link.wants_pull(now));
  EXPECT_EQ(pull(link, now), ack(65536));
  EXPECT_TRUE(link.pull(16384, now).empty());
}

TEST_F(LinkTest, AcknowledgesAPartOfAChunk) {
  attach_and_settle();
  ASSERT_EQ(feed(link, data_chunk("abcdef").substr(0, 5), now), LinkFault::none);
  EXPECT_EQ(upper.got, "ab");
  EXPECT_EQ(link.received(), 2u);
  now += 10ms;
  EXPECT_EQ(pull(link, now), ack(2));
}

// --- the log ---

TEST_F(LinkTest, AFullLogStopsDataButNotControl) {
  attach_and_settle();
  upper.to_send = pattern(1 << 20);
  const std::string sent = pull_all(link, now);
  EXPECT_TRUE(link.log_full());
  EXPECT_LE(link.stats().log_bytes, 4 * limits::kLogSlab);
  EXPECT_GT(link.stats().data_sent, 3 * limits::kLogSlab);

  ASSERT_EQ(feed(link, ping(5), now), LinkFault::none);
  EXPECT_EQ(pull(link, now), pong(5));

  ASSERT_EQ(feed(link, ack(link.stats().data_sent), now), LinkFault::none);
  EXPECT_FALSE(link.log_full());
  EXPECT_FALSE(link.pull(16384, now).empty());
}

TEST_F(LinkTest, AnIdleLinkHoldsNoLog) {
  attach_and_settle();
  upper.to_send = "x";
  pull_all(link, now);
  EXPECT_EQ(link.stats().log_bytes, limits::kLogSlab);
  ASSERT_EQ(feed(link, ack(1), now), LinkFault::none);
  pull_all(link, now);
  EXPECT_EQ(link.stats().log_bytes, 0u);
}

TEST_F(LinkTest, WhatWasPulledStaysWhileAnAckOvertakesIt) {
  attach_and_settle();
  upper.to_send = "precious";
  const Bytes record = link.pull(16384, now);
  // Only a hostile peer can acknowledge what has not been written; the bytes must stand all the
  // same, also when another session of the thread takes memory.
  ASSERT_EQ(feed(link, ack(8), now), LinkFault::none);
  TestUpper other_upper;
  Link other(other_upper);
  ASSERT_TRUE(other.attach(0, now));
  other_upper.to_send = "of another session";
  pull_all(other, now);
  EXPECT_EQ(as_chars(record), data_chunk("precious"));
}

// --- resume (§2.5) ---

TEST_F(LinkTest, ResumesFromEveryOffset) {
  const std::string all = pattern(300);
  for (std::uint64_t from = 0; from <= all.size(); ++from) {
    TestUpper u;
    Link l(u);
    ASSERT_TRUE(l.attach(0, now));
    u.to_send = all;
    for (u.at_once = 1; !l.pull(16384, now).empty(); u.at_once = u.at_once * 2 + 1) {
    }
    l.detach();
    EXPECT_TRUE(l.pull(16384, now).empty());
    u.to_send = "new";
    u.at_once = SIZE_MAX;
    ASSERT_TRUE(l.attach(from, now));
    std::string got;
    for (const Chunk& c : chunks(pull_all(l, now))) {
      if (c.kind == 4) got += c.body;
    }
    ASSERT_EQ(got, all.substr(from) + "new") << from;
    ASSERT_EQ(l.stats().resent, all.size() - from);
    ASSERT_EQ(l.stats().acked, from);
  }
}

TEST_F(LinkTest, NewDataWaitsForWhatIsSentAgain) {
  attach_and_settle();
  upper.to_send = pattern(50000);
  pull_all(link, now);
  link.detach();
  ASSERT_TRUE(link.attach(100, now));
  upper.to_send = "new";
  EXPECT_TRUE(link.wants_pull(now));
  std::string got;
  while (link.wants_pull(now)) {
    for (const Chunk& c : chunks(pull(link, now, 5000))) {
      if (c.kind == 4) got += c.body;
    }
  }
  EXPECT_EQ(got, pattern(49900, 100));
  EXPECT_EQ(upper.to_send, "new");
  EXPECT_EQ(pull(link, now), data_chunk("new"));
}

TEST_F(LinkTest, SmallPiecesGatherWhenSentAgain) {
  attach_and_settle();
  upper.to_send = pattern(1000);
  upper.at_once = 10;
  pull_all(link, now);
  link.detach();
  ASSERT_TRUE(link.attach(0, now));
  const auto out = chunks(pull(link, now));
  ASSERT_EQ(out.size(), 2u);  // ping, data
  EXPECT_EQ(out[1].body, pattern(1000));
}

TEST_F(LinkTest, AFullLogIsSentAgain) {
  attach_and_settle();
  upper.to_send = pattern(1 << 20);
  pull_all(link, now);
  ASSERT_TRUE(link.log_full());
  const std::uint64_t end = link.stats().data_sent;
  link.detach();
  ASSERT_TRUE(link.attach(0, now));
  std::string got;
  for (const Chunk& c : chunks(pull_all(link, now))) {
    if (c.kind == 4) got += c.body;
  }
  EXPECT_EQ(got, pattern(end));
}

TEST_F(LinkTest, TheSessionIsLostOutsideTheLog) {
  attach_and_settle();
  upper.to_send = pattern(100);
  pull_all(link, now);
  ASSERT_EQ(feed(link, ack(50), now), LinkFault::none);
  EXPECT_FALSE(link.attach(101, now));  // never sent
  EXPECT_FALSE(link.attached());
  EXPECT_FALSE(link.attach(49, now));  // acknowledged, so forgotten
  EXPECT_TRUE(link.attach(50, now));
  EXPECT_TRUE(link.attach(100, now));
}

TEST_F(LinkTest, AnAckMayNotPassWhatThisCarrierSent) {
  attach_and_settle();
  upper.to_send = pattern(100);
  pull_all(link, now);
  ASSERT_TRUE(link.attach(10, now));
  EXPECT_EQ(feed(link, ack(11), now), LinkFault::bad_ack);
}

TEST_F(LinkTest, ACarrierKnowsNothingOfTheHalfChunksOfTheLast) {
  attach_and_settle();
  ASSERT_EQ(feed(link, data_chunk("abcdef").substr(0, 5), now), LinkFault::none);
  ASSERT_EQ(feed(link, "", now), LinkFault::none);
  ASSERT_TRUE(link.attach(0, now));
  ASSERT_EQ(feed(link, data_chunk("cdef"), now), LinkFault::none);
  EXPECT_EQ(upper.got, "abcdef");
  EXPECT_EQ(link.received(), 6u);
}

TEST_F(LinkTest, ACarrierOwesNoPongToTheLast) {
  ASSERT_TRUE(link.attach(0, now));
  const auto first = chunks(pull(link, now));
  ASSERT_TRUE(link.attach(0, now));
  EXPECT_EQ(feed(link, pong(first.at(0).number()), now), LinkFault::bad_chunk);
}

TEST_F(LinkTest, AFencedCarrierIsNotHeard) {
  attach_and_settle();
  link.detach();
  ASSERT_EQ(feed(link, data_chunk("late"), now), LinkFault::none);
  EXPECT_EQ(upper.got, "");
  EXPECT_EQ(link.received(), 0u);
}

TEST_F(LinkTest, TheHandshakeAcknowledges) {
  attach_and_settle();
  ASSERT_EQ(feed(link, data_chunk("abc"), now), LinkFault::none);
  ASSERT_TRUE(link.attach(0, now));  // received() = 3 went with the handshake
  now += 1s;
  const auto out = chunks(pull_all(link, now));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].kind, 6);
}

// --- liveness (§2.4) ---

TEST_F(LinkTest, PingsAfterTwoSecondsOfSilenceAndDiesAfterSix) {
  attach_and_settle();
  EXPECT_EQ(link.next_deadline(), now + 2s);
  EXPECT_EQ(link.on_deadline(now + 2s - 1ns), LinkFault::none);
  EXPECT_FALSE(link.wants_pull(now + 2s - 1ns));
  EXPECT_EQ(link.on_deadline(now + 2s), LinkFault::none);
  EXPECT_TRUE(link.wants_pull(now + 2s));
  EXPECT_EQ(chunks(pull_all(link, now + 2s)).at(0).kind, 6);
  EXPECT_EQ(link.next_deadline(), now + 6s);
  EXPECT_EQ(link.on_deadline(now + 5s), LinkFault::none);
  EXPECT_FALSE(link.wants_pull(now + 5s));  // one ping is enough
  EXPECT_EQ(link.on_deadline(now + 6s - 1ns), LinkFault::none);
  EXPECT_EQ(link.on_deadline(now + 6s), LinkFault::dead);
  EXPECT_EQ(link.next_deadline(), kNever);
  EXPECT_TRUE(link.attach(0, now + 7s));  // the session is not
}

TEST_F(LinkTest, AnyByteIsASignOfLife) {
  attach_and_settle();
  const std::string slow = data_chunk(pattern(100));
  for (const char byte : slow) {
    now += 1900ms;
    ASSERT_EQ(link.on_deadline(now), LinkFault::none);
    ASSERT_EQ(feed(link, {&byte, 1}, now), LinkFault::none);
    for (const Chunk& c : chunks(pull_all(link, now))) ASSERT_NE(c.kind, 3);
  }
  EXPECT_EQ(link.next_deadline(), now + 6s);
}

// Threat 8: who takes nothing would hold log and streams for ever if speaking sufficed.
TEST_F(LinkTest, WhoSpeaksAndTakesNothingIsGone) {
  attach_and_settle();
  upper.to_send = "hello";
  ASSERT_FALSE(pull(link, now).empty());
  const Time sent = now;
  const auto speak_until = [&](Time end) {
    for (; now < end; now += 1s) {
      ASSERT_EQ(feed(link, ping(static_cast<std::uint64_t>(now.time_since_epoch().count())), now),
                LinkFault::none);
      ASSERT_EQ(link.on_deadline(now), LinkFault::none);
      ASSERT_LE(link.next_deadline(), sent + limits::kLinkStuck);
    }
  };
  speak_until(sent + limits::kLinkStuck);
  EXPECT_EQ(link.on_deadline(now), LinkFault::dead);
}

TEST_F(LinkTest, WhoTakesALittleIsThere) {
  attach_and_settle();
  upper.to_send = "hello, world";
  ASSERT_FALSE(pull(link, now).empty());
  for (std::uint64_t taken = 1; taken <= 12; ++taken) {
    now += limits::kLinkStuck - 1s;
    ASSERT_EQ(feed(link, ack(taken), now), LinkFault::none);
    ASSERT_EQ(link.on_deadline(now), LinkFault::none) << taken;
  }
  // All of it is acknowledged: there is nothing more to wait for.
  now += limits::kLinkStuck;
  ASSERT_EQ(feed(link, ping(1), now), LinkFault::none);
  EXPECT_EQ(link.on_deadline(now), LinkFault::none);
}

TEST_F(LinkTest, WhatIsNotReadIsNotHeldAgainstThePeer) {
  attach_and_settle();
  upper.to_send = "hello";
  ASSERT_FALSE(pull(link, now).empty());
  for (const Time end = now + 2 * limits::kLinkStuck; now < end; now += 1s) {
    link.paused(now);
    ASSERT_EQ(link.on_deadline(now), LinkFault::none);
  }
}

TEST_F(LinkTest, APingRidesWithTrafficEveryTwoSeconds) {
  attach_and_settle();
  const std::string more = data_chunk(pattern(100));
  int pings = 0;
  for (int i = 0; i < 100; ++i) {  // ten seconds
    now += 100ms;
    ASSERT_EQ(feed(link, more, now), LinkFault::none);
    ASSERT_EQ(link.on_deadline(now), LinkFault::none);
    for (const Chunk& c : chunks(pull_all(link, now + 10ms))) {
      if (c.kind != 6) continue;
      ++pings;
      ASSERT_EQ(feed(link, pong(c.number()), now + 40ms), LinkFault::none);
      EXPECT_EQ(link.stats().rtt, 30ms);
    }
  }
  EXPECT_GE(pings, 4);
  EXPECT_LE(pings, 6);
}

TEST_F(LinkTest, MeasuresTheRoundTrip) {
  ASSERT_TRUE(link.attach(0, now));
  const auto out = chunks(pull_all(link, now));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(feed(link, pong(out[0].number()), now + 37ms), LinkFault::none);
  EXPECT_EQ(link.stats().rtt, 37ms);
}

TEST_F(LinkTest, AnswersTheLastOfManyPings) {
  attach_and_settle();
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += ping(i);
  ASSERT_EQ(feed(link, flood, now), LinkFault::none);
  EXPECT_EQ(pull_all(link, now), pong(999));
}

// --- close (§2.6) ---

TEST_F(LinkTest, CloseIsTheLastThingSaid) {
  attach_and_settle();
  upper.to_send = pattern(20000);
  link.close("LEAT_DRAINING", "bye");
  link.close("LEAT_REVOKED", "not counted");
  EXPECT_TRUE(link.wants_pull(now));
  const std::string out = pull_all(link, now);
  EXPECT_EQ(out, data_chunk(pattern(16381)) + close("LEAT_DRAINING", "bye"));
  EXPECT_FALSE(link.wants_pull(now));
  EXPECT_EQ(feed(link, data_chunk("late"), now), LinkFault::none);
  EXPECT_EQ(upper.got, "");
  EXPECT_FALSE(link.attach(0, now));
}

TEST_F(LinkTest, CloseFitsSmallRooms) {
  attach_and_settle();
  link.close("LEAT_DRAINING", std::string(500, 'x'));
  const std::string out = pull_all(link, now, 64);
  EXPECT_EQ(out, close("LEAT_DRAINING", std::string(64 - 3 - 1 - 13, 'x')));
}

TEST_F(LinkTest, CloseOfThePeerEndsTheSession) {
  attach_and_settle();
  EXPECT_EQ(
      feed(link, data_chunk("last") + close("LEAT_REPLACED", "newer") + data_chunk("late"), now),
      LinkFault::closed);
  EXPECT_EQ(upper.got, "last");
  EXPECT_EQ(link.close_code(), "LEAT_REPLACED");
  EXPECT_EQ(link.close_text(), "newer");
  EXPECT_EQ(feed(link, data_chunk("late"), now), LinkFault::closed);
  EXPECT_FALSE(link.wants_pull(now));
  EXPECT_FALSE(link.attach(0, now));
}

TEST_F(LinkTest, AFaultIsAnsweredWithCloseAlone) {
  attach_and_settle();
  ASSERT_EQ(feed(link, chunk(9, "?"), now), LinkFault::bad_chunk);
  EXPECT_TRUE(link.pull(16384, now).empty());
  link.close("LEAT_PROTOCOL", "bad_chunk");
  EXPECT_EQ(pull_all(link, now), close("LEAT_PROTOCOL", "bad_chunk"));
}

}  // namespace
}  // namespace leat::net
