// docs/protocol.md §7.3 over a real socket pair; between the two may stand somebody who changes
// what passes.
#include "sealed/sealed_transport.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "mux/counting_new.h"
#include "net/tls.h"
#include "net/tls_fixture.h"
#include "sealed/pair.h"

namespace leat::sealed {
namespace {

using net::Talker;

// With padding: 256 bytes of content and zeros.
constexpr std::size_t kLeastPadded = crypto::kRecordOverhead + 256;

class SealedTransportTest : public ::testing::Test {
 protected:
  std::unique_ptr<SealedTransport> seal(net::Fd fd, crypto::Channel channel,
                                        std::string_view surplus = {}) {
    return std::make_unique<SealedTransport>(loop.shard,
                                             net::make_plain_transport(loop.shard, fd.release()),
                                             std::move(channel), as_bytes(surplus), padding);
  }
  void start(crypto::Suite suite = crypto::Suite::aesgcm) {
    auto [first, second] = channels(suite);
    net::TcpPair pair = net::tcp_pair();
    client = std::make_unique<Talker>(loop, seal(std::move(pair.client), std::move(first)), 1);
    server = std::make_unique<Talker>(loop, seal(std::move(pair.server), std::move(second)), 2);
  }
  // The client's bytes lie with us instead of arriving.
  void start_tapped(Duration key_age = {}) {
    auto [first, second] = channels(crypto::Suite::aesgcm, loop.shard.now() - key_age);
    net::TcpPair pair = net::tcp_pair(), far = net::tcp_pair();
    client = std::make_unique<Talker>(loop, seal(std::move(pair.client), std::move(first)), 1);
    server = std::make_unique<Talker>(loop, seal(std::move(far.client), std::move(second)), 2);
    tap = std::make_unique<Talker>(loop,
                                   net::make_plain_transport(loop.shard, pair.server.release()), 3);
    out = std::make_unique<Talker>(loop,
                                   net::make_plain_transport(loop.shard, far.server.release()), 4);
  }

  net::Loop loop;
  SealedTransport::Padding padding = SealedTransport::Padding::none;
  std::unique_ptr<Talker> client, server, tap, out;
};

TEST_F(SealedTransportTest, BytesAndEndsComeThroughBothWays) {
  for (const auto suite : {crypto::Suite::aesgcm, crypto::Suite::nacl}) {
    for (const auto pad :
         {SealedTransport::Padding::none, SealedTransport::Padding::power_of_two}) {
      padding = pad;
      start(suite);
      const std::string up = net::random_text(700'000, 5), down = net::random_text(90'001, 6);
      client->send(up, true);
      server->send(down, true);
      ASSERT_TRUE(loop.run([&] { return client->ended && server->ended; }));
      EXPECT_EQ(server->received, up);
      EXPECT_EQ(client->received, down);
    }
  }
}

TEST_F(SealedTransportTest, ACutIsNeverAnEnd) {
  start_tapped();
  client->send("all of it", true);
  ASSERT_TRUE(loop.run([&] { return tap->received.size() == 30 + crypto::kEndRecord; }));
  // Everything but the sealed end, and then the pipe's own, clean one.
  out->send(tap->received.substr(0, 30), true);
  ASSERT_TRUE(loop.run([&] { return server->failed || server->ended; }));
  EXPECT_EQ(server->received, "all of it");
  EXPECT_TRUE(server->failed);
  EXPECT_EQ(server->transport->error().code, Code::CARRIER_CUT);
}

TEST_F(SealedTransportTest, AnEndIsOneWhateverThePipeDoesAfterwards) {
  start_tapped();
  client->send("all of it", true);
  ASSERT_TRUE(loop.run([&] { return tap->received.size() == 30 + crypto::kEndRecord; }));
  out->send(tap->received, false);
  ASSERT_TRUE(loop.run([&] { return server->ended; }));
  EXPECT_EQ(server->received, "all of it");
}

TEST_F(SealedTransportTest, EveryChangedByteIsMetAndNothingOfItsRecordDelivered) {
  for (std::size_t at = 24; at < 48; ++at) {
    start_tapped();
    client->send("one", false);
    ASSERT_TRUE(loop.run([&] { return tap->received.size() == 24; }));
    client->send("two", false);
    ASSERT_TRUE(loop.run([&] { return tap->received.size() == 48; }));
    std::string changed = tap->received;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    out->send(changed, true);
    ASSERT_TRUE(loop.run([&] { return server->failed || server->ended; })) << at;
    EXPECT_TRUE(server->failed) << at;
    EXPECT_EQ(server->received, "one") << at;
    // A length that was raised waits for more and is cut.
    const Code code = server->transport->error().code;
    EXPECT_TRUE(code == Code::TAMPERED || (at < 26 && code == Code::CARRIER_CUT)) << at;
    // Nothing can be sent either: the keys are gone.
    EXPECT_EQ(server->transport->write(as_bytes("x")).status, net::IoStatus::failed) << at;
  }
}

TEST_F(SealedTransportTest, OthersHaveTheirTurnBetweenSmallRecords) {
  auto [first, second] = channels();
  std::string records;
  std::array<std::uint8_t, 64> record;
  for (int i = 0; i < 2000; ++i) {
    const auto size = first.seal(as_bytes("x"), record, loop.shard.now());
    records += as_chars(Bytes(record).first(size.value()));
  }
  net::TcpPair pair = net::tcp_pair();
  out = std::make_unique<Talker>(loop, net::make_plain_transport(loop.shard, pair.client.release()),
                                 1);
  server = std::make_unique<Talker>(loop, seal(std::move(pair.server), std::move(second)), 2);
  out->send(records, false);
  // Seven times the shard went on to others.
  ASSERT_TRUE(loop.run([&] { return server->received.size() == 2000; }));
  EXPECT_GE(server->calls, 7);
}

TEST_F(SealedTransportTest, KeysThatNothingIsSealedWithAreNoWorkWithoutEnd) {
  for (const int rekeys : {16, 17}) {
    auto [first, second] = channels();
    std::string records;
    const auto put = [&](const std::array<std::uint8_t, 64>& record, std::size_t n) {
      records += as_chars(Bytes(record).first(n));
    };
    std::array<std::uint8_t, 64> record;
    for (int i = 0; i < rekeys; ++i) put(record, first.rekey(record, loop.shard.now()).value());
    put(record, first.seal(as_bytes("data"), record, loop.shard.now()).value());
    net::TcpPair pair = net::tcp_pair();
    server =
        std::make_unique<Talker>(loop, seal(std::move(pair.server), std::move(second), records), 2);
    server->work();
    EXPECT_EQ(server->failed, rekeys == 17);
    EXPECT_EQ(server->received, rekeys == 17 ? "" : "data");
  }
}

TEST_F(SealedTransportTest, WhatCameBehindTheHandshakeIsReadFirst) {
  auto [first, second] = channels();
  std::array<std::uint8_t, 64> record;
  const std::size_t n = first.seal(as_bytes("early "), record, loop.shard.now()).value();
  net::TcpPair pair = net::tcp_pair();
  client = std::make_unique<Talker>(loop, seal(std::move(pair.client), std::move(first)), 1);
  server = std::make_unique<Talker>(
      loop, seal(std::move(pair.server), std::move(second), as_chars(Bytes(record).first(n))), 2);
  client->send("late", false);
  server->work();
  ASSERT_TRUE(loop.run([&] { return server->received == "early late"; }));
}

TEST_F(SealedTransportTest, PaddingHidesTheSize) {
  padding = SealedTransport::Padding::power_of_two;
  const auto size_of = [&](std::size_t content) {
    start_tapped();
    client->send(std::string(content, 'x'), false);
    std::size_t size = 0;
    EXPECT_TRUE(loop.run([&] {
      if (tap->received.size() < 2) return false;
      size = crypto::kLengthSize + load_be16(as_bytes(tap->received).data());
      return tap->received.size() == size;
    }));
    return size;
  };
  EXPECT_EQ(size_of(1), size_of(256));
  EXPECT_EQ(size_of(300), size_of(512));
  EXPECT_NE(size_of(256), size_of(257));
  EXPECT_EQ(size_of(1), kLeastPadded);
}

TEST_F(SealedTransportTest, PaddingHidesRekeysAndEnds) {
  padding = SealedTransport::Padding::power_of_two;
  start_tapped(crypto::kKeyLife);
  client->send("a token", true);
  ASSERT_TRUE(loop.run([&] { return tap->received.size() >= 3 * kLeastPadded; }));
  EXPECT_EQ(tap->received.size(), 3 * kLeastPadded);
  for (std::size_t at = 0; at < tap->received.size(); at += kLeastPadded) {
    EXPECT_EQ(crypto::kLengthSize + load_be16(as_bytes(tap->received).data() + at), kLeastPadded);
  }
  out->send(tap->received, true);
  ASSERT_TRUE(loop.run([&] { return server->ended; }));
  EXPECT_EQ(server->received, "a token");
}

TEST_F(SealedTransportTest, AKeyOfAnHourIsReplacedBeforeTheNextRecord) {
  start_tapped(crypto::kKeyLife);
  client->send("new key", false);
  const std::size_t expected = crypto::kRekeyRecord + crypto::kRecordOverhead + 7;
  ASSERT_TRUE(loop.run([&] { return tap->received.size() == expected; }));
  out->send(tap->received, false);
  ASSERT_TRUE(loop.run([&] { return server->received == "new key"; }));
}

TEST_F(SealedTransportTest, NothingIsAllocatedForARecord) {
  start();
  net::Transport& from = *client->transport;
  net::Transport& to = *server->transport;
  std::array<std::uint8_t, 8192> content{}, got{};
  const auto once = [&] {
    ASSERT_TRUE(loop.run([&] { return from.write_room() > 0; }));
    ASSERT_EQ(from.write(content).status, net::IoStatus::ok);
    from.flush();
    std::size_t n = 0;
    ASSERT_TRUE(loop.run([&] {
      while (n < content.size()) {
        const auto result = to.read(MutableBytes(got).subspan(n));
        if (result.status != net::IoStatus::ok) break;
        n += result.n;
      }
      return n == content.size();
    }));
  };
  server->reading = false;
  for (int i = 0; i < 10; ++i) once();
  from.write(content);  // with the first of a batch the shard is told to run one
  const std::uint64_t before = test::allocations().count;
  const net::IoResult written = from.write(content);
  const bool flushed = from.flush();
  EXPECT_EQ(test::allocations().count, before);
  EXPECT_EQ(written.n, content.size());
  EXPECT_TRUE(flushed);
}

}  // namespace
}  // namespace leat::sealed
