// Records: what goes through, what is refused at either end, limits and rekeys. What a relay can do
// to them is in attack_test.cc.
#include "crypto/channel.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <string>

#include "crypto/fixed.h"
#include "crypto/forger.h"

namespace leat::crypto {
namespace {

using namespace std::chrono_literals;
using test::Buffer;
using test::connect;
using test::Forger;
using test::kSuites;
using test::seal;
using test::seal_end;
using test::seal_rekey;
using Event = Opened::Event;

#ifdef LEAT_SANITIZED
constexpr int kSeeds = 20;
#else
constexpr int kSeeds = 200;
#endif

class PerSuite : public testing::TestWithParam<Suite> {};
INSTANTIATE_TEST_SUITE_P(Records, PerSuite, testing::ValuesIn(kSuites),
                         [](const auto& suite) { return std::string(test::name(suite.param)); });

std::string text(Bytes content) { return std::string(as_chars(content)); }

TEST_P(PerSuite, ToAndFro) {
  auto [client, agent] = connect(GetParam());
  for (int i = 0; i < 3; ++i) {
    Buffer record = seal(client, "question");
    const Opened asked = agent.open(record);
    EXPECT_EQ(asked.event, Event::data);
    EXPECT_EQ(text(asked.content), "question");
    EXPECT_EQ(asked.used, record.size());
    EXPECT_EQ(record.size(), 8 + kRecordOverhead);
    record = seal(agent, "answer");
    EXPECT_EQ(text(client.open(record).content), "answer");
  }
}

TEST_P(PerSuite, ContentMayBeWrittenWhereItWillLie) {
  auto [client, agent] = connect(GetParam());
  Buffer in_place(kMaxRecord, 0xee), copied(kMaxRecord);
  const std::string content(1000, 'c');
  std::memcpy(in_place.data() + client.head(), content.data(), content.size());
  auto size = client.seal(in_place, content.size(), Time{}, 24);
  ASSERT_TRUE(size);
  EXPECT_EQ(*size, 1000 + 24 + kRecordOverhead);
  EXPECT_EQ(in_place[*size], 0xee) << "nothing behind the record is touched";
  const Opened opened = agent.open(in_place);
  EXPECT_EQ(text(opened.content), content);
  EXPECT_EQ(opened.used, *size) << "what follows is the next record's";
  EXPECT_GE(opened.content.data(), in_place.data());
  EXPECT_LE(opened.content.data() + opened.content.size(), in_place.data() + *size);
}

TEST_P(PerSuite, LargestAndSmallest) {
  auto [client, agent] = connect(GetParam());
  Buffer full(kMaxContent, 'f');
  Buffer record = seal(client, full);
  EXPECT_EQ(record.size(), kMaxRecord);
  const Opened opened = agent.open(record);
  EXPECT_TRUE(std::equal(full.begin(), full.end(), opened.content.begin(), opened.content.end()));
  record = seal(client, "1");
  EXPECT_EQ(text(agent.open(record).content), "1");
  record = seal(client, as_bytes("p"), kMaxContent - 1);
  EXPECT_EQ(record.size(), kMaxRecord);
  EXPECT_EQ(text(agent.open(record).content), "p");
}

TEST_P(PerSuite, WhatTheSenderMayNotAskFor) {
  auto [client, agent] = connect(GetParam());
  Buffer out(kMaxRecord + 10), content(kMaxContent + 1);
  const auto why = [](const Channel::Size& size) { return size ? Fault::none : size.error(); };
  EXPECT_EQ(why(client.seal(Bytes(), out, Time{})), Fault::no_content);
  EXPECT_EQ(why(client.seal(content, out, Time{})), Fault::too_long);
  EXPECT_EQ(why(client.seal(as_bytes("x"), out, Time{}, kMaxContent)), Fault::too_long);
  EXPECT_EQ(why(client.seal(as_bytes("x"), out, Time{}, SIZE_MAX)), Fault::too_long);
  EXPECT_EQ(why(client.rekey(out, Time{}, kMaxContent + 1)), Fault::too_long);
  EXPECT_EQ(why(client.end(out, kMaxContent - 7)), Fault::too_long);
  const std::size_t room = kRecordOverhead;
  EXPECT_EQ(why(client.seal(as_bytes("x"), std::span(out).first(room), Time{})), Fault::no_room);
  EXPECT_EQ(why(client.rekey(std::span(out).first(room - 1), Time{})), Fault::no_room);
  EXPECT_EQ(why(client.end(std::span(out).first(room + 7))), Fault::no_room);
  EXPECT_EQ(client.fault(), Fault::none) << "nothing of this was sent";
  Buffer record = seal(client, "still there");
  EXPECT_EQ(text(agent.open(record).content), "still there") << "and no counter was used up";
  seal_end(client);
  EXPECT_EQ(why(client.seal(as_bytes("x"), out, Time{})), Fault::ended);
  EXPECT_EQ(why(client.rekey(out, Time{})), Fault::ended);
  EXPECT_EQ(why(client.end(out)), Fault::ended);
}

TEST_P(PerSuite, EndsAreOfOneDirection) {
  auto [client, agent] = connect(GetParam());
  Buffer record = seal(client, "12345");
  agent.open(record);
  record = seal_end(client);
  EXPECT_FALSE(agent.ended());
  EXPECT_EQ(agent.open(record).event, Event::end);
  EXPECT_TRUE(agent.ended());
  EXPECT_EQ(agent.open({}).event, Event::more);
  EXPECT_TRUE(agent.ended());
  EXPECT_FALSE(client.ended());
  record = seal(agent, "goes on");
  EXPECT_EQ(text(client.open(record).content), "goes on");
  record = seal_end(agent);
  EXPECT_EQ(client.open(record).event, Event::end);
  EXPECT_TRUE(client.ended());
}

TEST_P(PerSuite, RekeyGoesOnWithTheCounter) {
  auto [client, agent] = connect(GetParam());
  for (int i = 0; i < 4; ++i) {
    Buffer record = seal(client, "before");
    EXPECT_EQ(text(agent.open(record).content), "before");
    record = seal_rekey(client);
    EXPECT_EQ(record.size(), kRekeyRecord);
    EXPECT_EQ(agent.open(record).event, Event::rekey);
    record = seal(agent, "the other direction keeps its key");
    EXPECT_EQ(client.open(record).event, Event::data);
  }
}

Channel receiver(Suite suite, std::uint64_t counter = 0) {
  return ChannelAt::make(suite, Key(), counter, Role::responder);
}

// Noise §4.2: what ENCRYPT makes of 32 zero bytes under the greatest nonce, without the tag.
TEST_P(PerSuite, RekeyIsNoises) {
  Buffer next(32), tag(kTagSize), nonce(24);
  if (GetParam() == Suite::aesgcm) {
    std::fill(nonce.begin() + 4, nonce.begin() + 12, 0xff);
    AesGcm(Key()).seal(std::span(nonce).first<12>(), {}, next, std::span(tag).first<16>());
  } else {
    std::fill(nonce.begin() + 16, nonce.end(), 0xff);
    NaclBox(Key()).seal(std::span(nonce).first<24>(), next, std::span(tag).first<16>());
  }
  Forger forger(GetParam(), test::key_from(next), 1);
  Forger stale(GetParam(), Key(), 1);
  for (const bool old_key : {false, true}) {
    Channel channel = receiver(GetParam());
    Buffer record = Forger(GetParam(), Key()).record(2, 0, {});
    ASSERT_EQ(channel.open(record).event, Event::rekey);
    record = (old_key ? stale : forger).record(1, 1, as_bytes("x"));
    EXPECT_EQ(channel.open(record).event, old_key ? Event::failed : Event::data);
  }
}

TEST_P(PerSuite, AKeyLastsAnHour) {
  auto [client, agent] = connect(GetParam());
  Buffer out(kMaxRecord);
  const Time start{}, due = start + 1h;
  EXPECT_FALSE(client.rekey_due(due - 1ns));
  EXPECT_TRUE(client.seal(as_bytes("x"), out, due - 1ns));
  EXPECT_TRUE(client.rekey_due(due));
  EXPECT_EQ(client.seal(as_bytes("x"), out, due).error(), Fault::rekey_due);
  EXPECT_TRUE(client.rekey(out, due));
  EXPECT_FALSE(client.rekey_due(due + 1h - 1ns));
  EXPECT_TRUE(client.seal(as_bytes("x"), out, due));
  EXPECT_TRUE(client.rekey_due(due + 1h));
  EXPECT_TRUE(client.end(out)) << "an end needs no new key";
}

// Both ends count to the same number; the sender stops at it, the receiver refuses what is beyond.
TEST_P(PerSuite, AKeyLastsSoManyRecords) {
  auto [client, agent] = connect(GetParam());
  Buffer out(kRecordOverhead + 1);
  for (std::uint64_t i = 0; i < kKeyRecords; ++i) {
    ASSERT_TRUE(client.seal(as_bytes("x"), out, Time{})) << i;
    ASSERT_EQ(agent.open(out).event, Event::data) << i;
  }
  EXPECT_EQ(client.seal(as_bytes("x"), out, Time{}).error(), Fault::rekey_due);
  Buffer record = seal_rekey(client);
  EXPECT_EQ(agent.open(record).event, Event::rekey);
  record = seal(client, "new key");
  EXPECT_EQ(agent.open(record).event, Event::data);

  Channel channel = receiver(GetParam());
  Forger forger(GetParam(), Key());
  for (std::uint64_t i = 0; i < kKeyRecords; ++i) {
    record = forger.record(1, 1, as_bytes("x"));
    ASSERT_EQ(channel.open(record).event, Event::data) << i;
  }
  record = forger.record(1, 1, as_bytes("x"));
  EXPECT_EQ(channel.open(record).event, Event::failed);
  EXPECT_EQ(channel.fault(), Fault::rekey_overdue);
}

TEST(Records, AKeyLastsAGibibyte) {
  auto [client, agent] = connect(Suite::aesgcm);
  Channel channel = receiver(Suite::aesgcm);
  Forger forger(Suite::aesgcm, Key());
  Buffer out(kMaxRecord);
  const Buffer content(kMaxContent);
  for (std::uint64_t i = 0; i < kKeyBytes / kMaxContent; ++i) {
    const bool padded = i % 2 == 1;  // padding counts as content does
    ASSERT_TRUE(client.seal(Bytes(content).first(padded ? 1 : kMaxContent), out, Time{},
                            padded ? kMaxContent - 1 : 0));
    ASSERT_EQ(agent.open(out).event, Event::data);
    Buffer record = forger.record(1, kMaxContent, content);
    ASSERT_EQ(channel.open(record).event, Event::data);
  }
  EXPECT_TRUE(client.rekey_due(Time{}));
  EXPECT_EQ(client.seal(as_bytes("x"), out, Time{}).error(), Fault::rekey_due);
  Buffer record = forger.record(1, 1, as_bytes("x"));
  EXPECT_EQ(channel.open(record).event, Event::failed);
  EXPECT_EQ(channel.fault(), Fault::rekey_overdue);
}

// A sender with less than a full record left under its key rekeys early, so that what seal() is
// asked for never decides.
TEST(Records, RekeyIsDueBeforeTheLastFullRecord) {
  auto [client, agent] = connect(Suite::aesgcm);
  Buffer out(kMaxRecord);
  const Buffer content(kMaxContent);
  ASSERT_TRUE(client.seal(as_bytes("x"), out, Time{}));
  for (std::uint64_t i = 1; i < kKeyBytes / kMaxContent; ++i) {
    ASSERT_TRUE(client.seal(content, out, Time{})) << i;
  }
  EXPECT_EQ(client.seal(as_bytes("x"), out, Time{}).error(), Fault::rekey_due);
}

TEST_P(PerSuite, TheCounterStopsBeforeItWraps) {
  Channel sender = ChannelAt::make(GetParam(), Key(), UINT64_MAX - 1, Role::initiator);
  Buffer last = seal(sender, "last"), out(kMaxRecord);
  EXPECT_EQ(sender.seal(as_bytes("x"), out, Time{}).error(), Fault::exhausted);
  EXPECT_EQ(sender.fault(), Fault::exhausted);
  Channel channel = receiver(GetParam(), UINT64_MAX - 1);
  EXPECT_EQ(channel.open(last).event, Event::data);
  Buffer beyond(kRekeyRecord);
  store_be16(beyond.data(), kRekeyRecord - kLengthSize);
  EXPECT_EQ(channel.open(beyond).event, Event::failed);
  EXPECT_EQ(channel.fault(), Fault::exhausted);
}

TEST_P(PerSuite, LengthsAreJudgedByTwoBytes) {
  for (const std::size_t length : {0, 1, 18, 16404, 20000, 65535}) {
    Channel channel = receiver(GetParam());
    Buffer in(2);
    EXPECT_EQ(channel.open(std::span(in).first(1)).event, Event::more);
    store_be16(in.data(), static_cast<std::uint16_t>(length));
    EXPECT_EQ(channel.open(in).event, Event::failed) << length;
    EXPECT_EQ(channel.fault(), Fault::bad_length);
  }
  for (const std::size_t length : {19, 16403}) {
    Channel channel = receiver(GetParam());
    Buffer in(kMaxRecord);
    store_be16(in.data(), static_cast<std::uint16_t>(length));
    EXPECT_EQ(channel.open(std::span(in).first(length + 1)).event, Event::more) << length;
    EXPECT_EQ(channel.fault(), Fault::none);
  }
}

TEST_P(PerSuite, AuthenticNonsenseIsRefused) {
  const std::string eight(8, '\0'), nine(9, '\0'), full(kMaxContent, '\0');
  std::string one = eight;
  one.back() = 1;
  const struct {
    int type;
    std::size_t size;
    std::string_view rest;
    Fault fault;
  } cases[] = {
      {0, 1, "x", Fault::bad_type},
      {4, 1, "x", Fault::bad_type},
      {255, 0, "", Fault::bad_type},
      {1, 2, "x", Fault::malformed},
      {1, 65535, full, Fault::malformed},
      {1, 1, "xy", Fault::malformed},
      {1, 0, "", Fault::malformed},
      {1, 0, eight, Fault::malformed},
      {2, 1, "x", Fault::malformed},
      {2, 0, "x", Fault::malformed},
      {3, 7, std::string_view(eight).substr(1), Fault::malformed},
      {3, 9, nine, Fault::malformed},
      {3, 0, "", Fault::malformed},
      {3, 8, one, Fault::bad_count},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(testing::Message() << each.type << " " << each.size << " " << each.rest.size());
    Channel channel = receiver(GetParam());
    Buffer record = Forger(GetParam(), Key()).record(each.type, each.size, as_bytes(each.rest));
    const Opened opened = channel.open(record);
    EXPECT_EQ(opened.event, Event::failed);
    EXPECT_TRUE(opened.content.empty());
    EXPECT_EQ(channel.fault(), each.fault);
    EXPECT_TRUE(std::all_of(record.begin() + 2, record.end(), [](auto b) { return b == 0; }))
        << "no plaintext is left in the buffer";
    EXPECT_FALSE(channel.ended() || channel.confirmed());
  }
  // And what is as it should be, by the same hand.
  Channel channel = receiver(GetParam());
  Forger forger(GetParam(), Key());
  Buffer record = forger.record(1, 1, as_bytes(std::string_view("x\0\0", 3)));
  EXPECT_EQ(channel.open(record).event, Event::data);
  record = forger.record(2, 0, as_bytes(std::string_view("\0", 1)));
  EXPECT_EQ(channel.open(record).event, Event::rekey);
  forger.rekey();
  record = forger.record(3, 8, as_bytes(one));
  EXPECT_EQ(channel.open(record).event, Event::end);
}

TEST_P(PerSuite, AfterTheEndNothing) {
  for (const std::size_t extra : {1u, 2u, 30u}) {
    auto [client, agent] = connect(GetParam());
    Buffer record = seal_end(client);
    record.resize(record.size() + extra);
    const Opened end = agent.open(record);
    ASSERT_EQ(end.event, Event::end);
    EXPECT_EQ(agent.open(std::span(record).subspan(end.used)).event, Event::failed);
    EXPECT_EQ(agent.fault(), Fault::after_end);
    EXPECT_FALSE(agent.ended());
  }
  Forger forger(GetParam(), Key());
  Channel channel = receiver(GetParam());
  Buffer record = forger.record(3, 8, Buffer(8));
  ASSERT_EQ(channel.open(record).event, Event::end);
  record = forger.record(1, 1, as_bytes("x"));
  EXPECT_EQ(channel.open(record).event, Event::failed) << "not even what is authentic";
}

TEST_P(PerSuite, AFaultKillsBothDirections) {
  auto [client, agent] = connect(GetParam());
  Buffer record = seal(client, "good"), sound = record;
  record.back() ^= 1;
  EXPECT_EQ(agent.open(record).event, Event::failed);
  EXPECT_EQ(agent.open(sound).event, Event::failed) << "also the record that was meant";
  EXPECT_EQ(agent.open({}).event, Event::failed);
  EXPECT_EQ(agent.fault(), Fault::not_authentic);
  Buffer out(kMaxRecord);
  EXPECT_EQ(agent.seal(as_bytes("x"), out, Time{}).error(), Fault::not_authentic);
  EXPECT_EQ(agent.rekey(out, Time{}).error(), Fault::not_authentic);
  EXPECT_EQ(agent.end(out).error(), Fault::not_authentic);
  EXPECT_FALSE(agent.rekey_due(Time{} + 2h));
  EXPECT_EQ(out, Buffer(kMaxRecord));
  EXPECT_EQ(ERR_peek_error(), 0u) << "TLS code of the same thread reads this queue";
}

TEST_P(PerSuite, MovesLeaveNothingBehind) {
  auto [client, agent] = connect(GetParam());
  Channel& shell = agent;
  Buffer record = seal(client, "one"), out(kMaxRecord);
  ASSERT_EQ(agent.open(record).event, Event::data);
  Channel moved = std::move(agent);
  EXPECT_TRUE(moved.confirmed());
  EXPECT_EQ(shell.fault(), Fault::gone);
  EXPECT_EQ(shell.peer(), nullptr);
  EXPECT_EQ(shell.seal(as_bytes("x"), out, Time{}).error(), Fault::gone);
  record = seal(client, "two");
  Buffer copy = record;
  EXPECT_EQ(shell.open(copy).event, Event::failed);
  EXPECT_EQ(text(moved.open(record).content), "two");
  auto other = connect(GetParam());
  other.agent = std::move(moved);
  record = seal(client, "three");
  EXPECT_EQ(text(other.agent.open(record).content), "three");
}

// By seed: content, padding, rekeys; handed over in pieces of any size; what comes out is what went
// in, and the end is an end.
void random_session(Suite suite, std::uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << ": crypto_test --gtest_filter=*AnyChunks*");
  std::mt19937 random(seed);
  const auto up_to = [&](std::size_t n) { return random() % (n + 1); };
  auto [client, agent] = connect(suite);
  std::string sent, wire;
  const auto put = [&](const Buffer& record) { wire += as_chars(record); };
  for (std::size_t i = up_to(20); i > 0; --i) {
    std::string content(1 + up_to(random() % 3 == 0 ? kMaxContent - 1 : 60), '\0');
    for (char& c : content) c = static_cast<char>(random());
    put(seal(client, as_bytes(content),
             up_to(std::min<std::size_t>(50, kMaxContent - content.size()))));
    sent += content;
    if (up_to(4) == 0) put(seal_rekey(client));
  }
  put(seal_end(client));

  Buffer held;
  std::string received;
  while (!wire.empty()) {
    const std::size_t piece =
        std::min<std::size_t>(1 + up_to(random() % 2 ? 40000 : 30), wire.size());
    held.insert(held.end(), wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(piece));
    wire.erase(0, piece);
    Opened opened;
    std::size_t at = 0;
    while ((opened = agent.open(std::span(held).subspan(at))).event != Event::more) {
      ASSERT_NE(opened.event, Event::failed) << name(agent.fault());
      received += as_chars(opened.content);
      at += opened.used;
    }
    held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(at));
    ASSERT_EQ(agent.ended(), wire.empty());
  }
  EXPECT_EQ(received, sent);
}

TEST_P(PerSuite, AnyChunks) {
  for (std::uint32_t seed = 1; seed <= kSeeds; ++seed) random_session(GetParam(), seed);
}

TEST(Records, SuitesAreAgreedOn) {
  const auto offer = [](std::initializer_list<std::uint8_t> list) { return Buffer(list); };
  EXPECT_EQ(choose_suite(offer({2, 1})), Suite::nacl) << "the client's order";
  EXPECT_EQ(choose_suite(offer({9, 1})), Suite::aesgcm);
  EXPECT_EQ(choose_suite(offer({0, 3, 255})), std::nullopt);
  EXPECT_EQ(choose_suite({}), std::nullopt);
  EXPECT_EQ(accept_suite(1, offer({1, 2})), Suite::aesgcm);
  EXPECT_EQ(accept_suite(1, offer({2})), std::nullopt) << "not offered";
  EXPECT_EQ(accept_suite(3, offer({1, 3})), std::nullopt) << "offered, but not known";
}

TEST(Records, FaultsHaveNames) {
  for (int i = 0; i <= static_cast<int>(Fault::gone); ++i) {
    EXPECT_NE(name(static_cast<Fault>(i)), "unknown");
  }
}

}  // namespace
}  // namespace leat::crypto
