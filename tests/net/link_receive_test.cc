// The link's way in: any cutting of the bytes gives the same events, and what a peer must not send
// (docs/protocol.md §2.1, §2.3, §2.4).
#include <gtest/gtest.h>

#include "net/link.h"
#include "net/link_fixture.h"

namespace leat::net {
namespace {

using namespace test;

struct Outcome {
  std::string got, said;
  std::uint64_t acked;
  LinkFault fault;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Feeds `in` in pieces of `step` bytes to a link that has sent 100 bytes and one ping of value 1.
Outcome run(std::string_view in, std::size_t step) {
  TestUpper upper;
  Link link(upper);
  EXPECT_TRUE(link.attach(0, kStart));
  upper.to_send = pattern(100);
  pull_all(link, kStart);
  LinkFault fault = LinkFault::none;
  for (std::size_t at = 0; at < in.size(); at += step) {
    fault = feed(link, in.substr(at, step), kStart);
    if (fault != LinkFault::none) break;
  }
  Outcome outcome{upper.got, {}, link.stats().acked, fault};
  outcome.said = pull_all(link, kStart + 10ms);
  return outcome;
}

TEST(LinkReceive, ChunkingChangesNothing) {
  const std::string in = data_chunk("a") + ping(7) + data_chunk(pattern(700)) + ack(40) + pong(1) +
                         ack(100) + data_chunk("z") + close("LEAT_DRAINING", "enough");
  const Outcome whole = run(in, in.size());
  EXPECT_EQ(whole.got, "a" + pattern(700) + "z");
  EXPECT_EQ(whole.acked, 100u);
  EXPECT_EQ(whole.fault, LinkFault::closed);
  for (std::size_t step = 1; step < in.size(); ++step) ASSERT_EQ(run(in, step), whole) << step;
}

TEST(LinkReceive, EveryCutInTwoChangesNothing) {
  const std::string in = data_chunk("abc") + ping(7) + ack(40) + data_chunk("def");
  const Outcome whole = run(in, in.size());
  EXPECT_EQ(whole.said, pong(7) + ack(6));
  for (std::size_t cut = 0; cut <= in.size(); ++cut) {
    TestUpper upper;
    Link link(upper);
    ASSERT_TRUE(link.attach(0, kStart));
    upper.to_send = pattern(100);
    pull_all(link, kStart);
    ASSERT_EQ(feed(link, std::string_view(in).substr(0, cut), kStart), LinkFault::none);
    ASSERT_EQ(feed(link, std::string_view(in).substr(cut), kStart), LinkFault::none);
    ASSERT_EQ(upper.got, whole.got);
    ASSERT_EQ(pull_all(link, kStart + 10ms), whole.said);
  }
}

struct Hostile {
  const char* name;
  std::string bytes;
  LinkFault fault;
};

class LinkHostile : public ::testing::TestWithParam<Hostile> {};

TEST_P(LinkHostile, IsAFaultInEveryChunking) {
  const auto& [_, bytes, fault] = GetParam();
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    ASSERT_EQ(run(bytes, step).fault, fault) << step;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, LinkHostile,
    ::testing::Values(
        Hostile{"kind_0", chunk(0, ""), LinkFault::bad_chunk},
        Hostile{"kind_9", chunk(9, "x"), LinkFault::bad_chunk},
        Hostile{"kind_255", chunk(255, "x"), LinkFault::bad_chunk},
        Hostile{"challenge", chunk(1, std::string(33, 'n')), LinkFault::bad_chunk},
        Hostile{"open", chunk(2, std::string(126, 'n')), LinkFault::bad_chunk},
        Hostile{"opened", chunk(3, std::string(24, 'n')), LinkFault::bad_chunk},
        Hostile{"data_of_nothing", data_chunk(""), LinkFault::bad_chunk},
        // The header alone decides: 16,382 and 65,535 bytes are announced, none of them sent.
        Hostile{"data_oversized", std::string("\x3f\xfe\4", 3), LinkFault::bad_chunk},
        Hostile{"data_largest", std::string("\xff\xff\4", 3), LinkFault::bad_chunk},
        Hostile{"ack_short", chunk(5, "1234567"), LinkFault::bad_chunk},
        Hostile{"ack_long", chunk(5, "123456789"), LinkFault::bad_chunk},
        Hostile{"ack_beyond", ack(101), LinkFault::bad_ack},
        Hostile{"ack_far_beyond", ack(UINT64_MAX), LinkFault::bad_ack},
        Hostile{"ack_of_nothing", ack(0), LinkFault::bad_ack},
        Hostile{"ack_twice", ack(40) + ack(40), LinkFault::bad_ack},
        Hostile{"ack_backwards", ack(40) + ack(39), LinkFault::bad_ack},
        Hostile{"ping_short", chunk(6, ""), LinkFault::bad_chunk},
        Hostile{"pong_of_another_value", pong(2), LinkFault::bad_chunk},
        Hostile{"pong_twice", pong(1) + pong(1), LinkFault::bad_chunk},
        Hostile{"close_without_body", chunk(8, ""), LinkFault::bad_chunk},
        Hostile{"close_oversized", chunk(8, std::string(562, '\0')), LinkFault::bad_chunk},
        Hostile{"close_with_a_long_code", chunk(8, "\x31" + std::string(60, 'A')),
                LinkFault::bad_chunk}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(LinkReceive, AFaultStays) {
  TestUpper upper;
  Link link(upper);
  ASSERT_TRUE(link.attach(0, kStart));
  ASSERT_EQ(feed(link, ack(1), kStart), LinkFault::bad_ack);
  EXPECT_EQ(feed(link, data_chunk("x"), kStart), LinkFault::bad_ack);
  EXPECT_EQ(upper.got, "");
  EXPECT_FALSE(link.attach(0, kStart));
}

TEST(LinkReceive, StopsWhenTheUpperLayerHasEnough) {
  TestUpper upper;
  Link link(upper);
  ASSERT_TRUE(link.attach(0, kStart));
  upper.wants_more = false;
  EXPECT_EQ(feed(link, data_chunk("one") + data_chunk("two"), kStart), LinkFault::none);
  EXPECT_EQ(feed(link, data_chunk("three"), kStart), LinkFault::none);
  EXPECT_EQ(upper.got, "one");
}

}  // namespace
}  // namespace leat::net
