// docs/protocol.md §2.2: what is signed, what is refused, and what an attacker between the two
// tries.
#include "net/link_handshake.h"

#include <gtest/gtest.h>

#include "base/signature.h"
#include "net/link_fixture.h"

namespace leat::net {
namespace {

using test::be;
using test::chunk;

const std::string kBinding(32, 'B');
const SessionId kSession = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

ServerHandshake::State feed(ServerHandshake& server, std::string_view bytes) {
  std::size_t used = 0;
  return server.feed(as_bytes(bytes), used);
}

ClientHandshake::State feed(ClientHandshake& client, std::string_view bytes) {
  std::size_t used = 0;
  return client.feed(as_bytes(bytes), used);
}

class HandshakeTest : public ::testing::Test {
 protected:
  ClientHandshake fresh(const std::string& binding = kBinding) {
    return ClientHandshake(key, binding, std::nullopt, 0);
  }
  ClientHandshake resuming(std::uint64_t received = 1000, std::uint32_t epoch = 3) {
    return ClientHandshake(key, kBinding, kSession, received, epoch);
  }
  // The chunk a client answers a server with.
  static std::string open(ServerHandshake& server, ClientHandshake client) {
    EXPECT_EQ(feed(client, server.take_output()), ClientHandshake::State::more);
    return client.take_output();
  }

  SigningKey key = SigningKey::generate();
};

TEST_F(HandshakeTest, ANewSession) {
  ServerHandshake server(kBinding);
  ClientHandshake client = fresh();
  EXPECT_EQ(client.take_output(), "");  // the relay speaks first
  ASSERT_EQ(feed(client, server.take_output()), ClientHandshake::State::more);
  ASSERT_EQ(feed(server, client.take_output()), ServerHandshake::State::open);
  EXPECT_EQ(server.request().identity, key.public_key());
  EXPECT_FALSE(server.request().resume);
  server.accept(kSession, 0);
  ASSERT_EQ(feed(client, server.take_output()), ClientHandshake::State::opened);
  EXPECT_EQ(client.session(), kSession);
  EXPECT_EQ(client.peer_received(), 0u);
}

TEST_F(HandshakeTest, Resuming) {
  ServerHandshake server(kBinding);
  ClientHandshake client = resuming(0x0102030405060708, 0xfffffffe);
  ASSERT_EQ(feed(client, server.take_output()), ClientHandshake::State::more);
  ASSERT_EQ(feed(server, client.take_output()), ServerHandshake::State::open);
  EXPECT_EQ(server.request().resume, kSession);
  EXPECT_EQ(server.request().epoch, 0xfffffffeu);
  EXPECT_EQ(server.request().received, 0x0102030405060708u);
  server.accept(kSession, 777);
  ASSERT_EQ(feed(client, server.take_output()), ClientHandshake::State::opened);
  EXPECT_EQ(client.peer_received(), 777u);
}

TEST_F(HandshakeTest, OnAWebSocketTheNonceAloneIsSigned) {
  ServerHandshake server("");
  ClientHandshake client = fresh("");
  ASSERT_EQ(feed(client, server.take_output()), ClientHandshake::State::more);
  EXPECT_EQ(feed(server, client.take_output()), ServerHandshake::State::open);
}

TEST_F(HandshakeTest, EveryChunkingAndTheSurplusIsHandedBack) {
  for (std::size_t step = 1; step < 200; ++step) {
    ServerHandshake server(kBinding);
    ClientHandshake client = resuming();
    const auto run = [step](auto& side, const std::string& bytes) {
      const std::string_view all = bytes;
      std::size_t at = 0;
      while (at < all.size()) {
        std::size_t used = 0;
        const auto piece = all.substr(at, step);
        side.feed(as_bytes(piece), used);
        at += used;
        if (used < piece.size()) break;  // the rest is not the handshake's
      }
      return at;
    };
    run(client, server.take_output());
    const std::string open = client.take_output();
    ASSERT_EQ(run(server, open + "surplus"), open.size());
    server.accept(kSession, 5);
    const std::string opened = server.take_output();
    ASSERT_EQ(run(client, opened + test::data_chunk("surplus")), opened.size());
    ASSERT_EQ(client.peer_received(), 5u);
  }
}

TEST_F(HandshakeTest, TheBytesAreThoseOfTheProtocol) {
  ServerHandshake server(kBinding);
  const std::string challenge = server.take_output();
  ASSERT_EQ(challenge.size(), 36u);
  EXPECT_EQ(challenge.substr(0, 4), std::string("\0\x21\1\1", 4));
  const std::string nonce = challenge.substr(4);

  ClientHandshake client = resuming(0x1122, 7);
  ASSERT_EQ(feed(client, challenge), ClientHandshake::State::more);
  const std::string open = client.take_output();
  ASSERT_EQ(open.size(), 129u);
  const std::string unsigned_part = std::string("\1\1", 2) +
                                    std::string(as_chars(key.public_key())) +
                                    std::string(as_chars(kSession)) + be(7, 4) + be(0x1122, 8);
  EXPECT_EQ(open.substr(0, 3), std::string("\0\x7e\2", 3));
  EXPECT_EQ(open.substr(3, 62), unsigned_part);
  const std::string statement =
      std::string("leat/1 open\0", 12) + '\x20' + kBinding + nonce + unsigned_part;
  EXPECT_TRUE(verify(key.public_key(), as_bytes(statement), as_bytes(open).subspan(65)));

  ASSERT_EQ(feed(server, open), ServerHandshake::State::open);
  server.accept(kSession, 9);
  EXPECT_EQ(server.take_output(), chunk(3, std::string(as_chars(kSession)) + be(9, 8)));
}

// --- what an attacker tries ---

void expect_refused(ServerHandshake& server, std::string_view open, Code code) {
  server.take_output();
  EXPECT_EQ(feed(server, open), ServerHandshake::State::error);
  EXPECT_EQ(server.error().code, code);
  const auto out = test::chunks(server.take_output());
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].kind, 8);
  EXPECT_NE(out[0].body.find(info(code).name), std::string::npos);
}

TEST_F(HandshakeTest, AnOpenReplayedOnAnotherCarrierDoesNotVerify) {
  ServerHandshake first(kBinding), second(std::string(32, 'C'));
  const std::string open = HandshakeTest::open(first, fresh());
  expect_refused(second, open, Code::BAD_IDENTITY);
}

TEST_F(HandshakeTest, AnOpenReplayedWithTheSameBindingDoesNotVerify) {
  ServerHandshake first(kBinding), second(kBinding);
  const std::string open = HandshakeTest::open(first, fresh());
  expect_refused(second, open, Code::BAD_IDENTITY);
}

TEST_F(HandshakeTest, AnOpenForAWebSocketDoesNotVerifyOnTls) {
  // A hostile relay hands the agent, over WebSocket, a nonce of its choice: the real relay's
  // challenge.
  ServerHandshake real(kBinding);
  const std::string open = HandshakeTest::open(real, fresh(""));
  expect_refused(real, open, Code::BAD_IDENTITY);
  // … or the exporter of its own TLS connection to the real relay.
  ServerHandshake other(kBinding);
  ClientHandshake client = fresh("");
  feed(client, chunk(1, '\1' + kBinding));
  expect_refused(other, client.take_output(), Code::BAD_IDENTITY);
}

TEST_F(HandshakeTest, AnotherKeysSignatureDoesNotVerify) {
  ServerHandshake server(kBinding);
  const SigningKey thief = SigningKey::generate();
  std::string open = HandshakeTest::open(server, ClientHandshake(thief, kBinding, std::nullopt, 0));
  const PublicKey victim = key.public_key();
  open.replace(3 + 2, 32, as_chars(victim));
  expect_refused(server, open, Code::BAD_IDENTITY);
}

TEST_F(HandshakeTest, EveryBitOfOpenIsSigned) {
  ServerHandshake model(kBinding);
  const std::string challenge = model.take_output();
  for (std::size_t byte = 3; byte < 129; ++byte) {
    ServerHandshake server = model;  // the same nonce
    ClientHandshake client = resuming();
    feed(client, challenge);
    std::string open = client.take_output();
    open[byte] = static_cast<char>(open[byte] ^ (1 << byte % 8));
    ASSERT_EQ(feed(server, open), ServerHandshake::State::error) << byte;
  }
}

TEST_F(HandshakeTest, AReflectedChallengeIsNoOpen) {
  ServerHandshake server(kBinding);
  const std::string challenge = server.take_output();
  expect_refused(server, challenge, Code::PROTOCOL);
}

TEST_F(HandshakeTest, ANewSessionHasNoPast) {
  ServerHandshake server(kBinding);
  std::string open = HandshakeTest::open(server, resuming());
  open[3 + 1] = 0;
  expect_refused(server, open, Code::PROTOCOL);
}

TEST_F(HandshakeTest, UnknownIntentAndEpochZeroAreRefused) {
  ServerHandshake server(kBinding);
  std::string open = HandshakeTest::open(server, resuming());
  open[3 + 1] = 2;
  expect_refused(server, open, Code::PROTOCOL);
  ServerHandshake other(kBinding);
  open = HandshakeTest::open(other, fresh());
  open[3 + 1] = 1;
  expect_refused(other, open, Code::PROTOCOL);
}

TEST_F(HandshakeTest, AnotherVersionOfOpenIsRefused) {
  ServerHandshake server(kBinding);
  std::string open = HandshakeTest::open(server, fresh());
  open[3] = 2;
  expect_refused(server, open, Code::VERSION_MISMATCH);
}

TEST_F(HandshakeTest, StrictLengthsAndOrderAtTheRelay) {
  for (const std::string& bytes :
       {chunk(2, std::string(125, 'x')), chunk(2, std::string(127, 'x')), chunk(2, ""),
        chunk(3, std::string(24, 'x')), chunk(4, "x"), chunk(5, be(1, 8)), chunk(6, be(1, 8)),
        chunk(0, ""), chunk(200, "x"), std::string("\xff\xff\2", 3),
        std::string("GET / HTTP/1.1\r\n")}) {
    ServerHandshake server(kBinding);
    expect_refused(server, bytes, Code::PROTOCOL);
    EXPECT_EQ(feed(server, bytes), ServerHandshake::State::error);  // and stays refused
  }
}

TEST_F(HandshakeTest, StrictLengthsAndOrderAtTheAgent) {
  const auto refused = [](ClientHandshake& client, std::string_view bytes) {
    EXPECT_EQ(feed(client, bytes), ClientHandshake::State::error);
    EXPECT_EQ(client.error().code, Code::PROTOCOL);
    EXPECT_EQ(feed(client, bytes), ClientHandshake::State::error);
  };
  const std::string challenge = chunk(1, '\1' + std::string(32, 'n'));
  for (const std::string& bytes :
       {chunk(1, '\1' + std::string(31, 'n')), chunk(1, '\1' + std::string(33, 'n')),
        chunk(1, std::string(33, '\0')), chunk(3, std::string(24, 'x')), chunk(4, "x"),
        chunk(2, std::string(126, 'x')), std::string("HTTP/1.1 400 Bad Request\r\n")}) {
    ClientHandshake client = fresh();
    refused(client, bytes);
  }
  for (const std::string& bytes :
       {challenge, chunk(3, std::string(23, 'x')), chunk(3, std::string(25, 'x')), chunk(4, "x"),
        chunk(3, std::string(16, 'x') + be(1, 8))}) {  // a new session that has received something
    ClientHandshake client = fresh();
    ASSERT_EQ(feed(client, challenge), ClientHandshake::State::more);
    refused(client, bytes);
  }
  ClientHandshake client = resuming();
  ASSERT_EQ(feed(client, challenge), ClientHandshake::State::more);
  refused(client, chunk(3, std::string(16, 'x') + be(1, 8)));  // another session
}

TEST_F(HandshakeTest, AnAgentAnswersANewerRelayInItsOwnVersion) {
  ClientHandshake client = fresh();
  ASSERT_EQ(feed(client, chunk(1, '\7' + std::string(32, 'n'))), ClientHandshake::State::more);
  EXPECT_EQ(client.take_output()[3], 1);
}

// --- refusals ---

TEST_F(HandshakeTest, ARefusalReachesTheAgent) {
  ServerHandshake server(kBinding);
  ClientHandshake client = resuming();
  feed(client, server.take_output());
  ASSERT_EQ(feed(server, client.take_output()), ServerHandshake::State::open);
  server.refuse(Code::SESSION_LOST, "restarted");
  ASSERT_EQ(feed(client, server.take_output()), ClientHandshake::State::error);
  EXPECT_EQ(client.error().code, Code::SESSION_LOST);
  EXPECT_EQ(client.error().detail, "restarted");
}

TEST_F(HandshakeTest, ARelayMayRefuseBeforeItChallenges) {
  ClientHandshake client = fresh();
  EXPECT_EQ(feed(client, test::close("LEAT_DRAINING", "")), ClientHandshake::State::error);
  EXPECT_EQ(client.error().code, Code::DRAINING);
}

TEST_F(HandshakeTest, AnUnknownCodeIsShownAsItIs) {
  ClientHandshake client = fresh();
  EXPECT_EQ(feed(client, test::close("LEAT_OF_THE_FUTURE", "why")), ClientHandshake::State::error);
  EXPECT_EQ(client.error().code, Code::PROTOCOL);
  EXPECT_EQ(client.error().detail, "LEAT_OF_THE_FUTURE: why");
}

TEST_F(HandshakeTest, AnAgentsCloseEndsTheRelaysSideWithoutAnAnswer) {
  ServerHandshake server(kBinding);
  server.take_output();
  EXPECT_EQ(feed(server, test::close("LEAT_VERSION_MISMATCH", "")), ServerHandshake::State::error);
  EXPECT_EQ(server.error().code, Code::VERSION_MISMATCH);
  EXPECT_EQ(server.take_output(), "");
}

TEST_F(HandshakeTest, NoncesDiffer) {
  ServerHandshake a(kBinding), b(kBinding);
  EXPECT_NE(a.take_output(), b.take_output());
}

}  // namespace
}  // namespace leat::net
