#include "net/tls.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/ring.h"
#include "net/tls_fixture.h"

namespace leat::net {
namespace {

using namespace std::chrono_literals;

struct Ends {
  std::unique_ptr<Talker> server, client;
  int server_fd = -1, client_fd = -1;

  bool settled() const {
    const auto over = [](const Talker& end) { return end.failed || end.transport->established(); };
    return over(*server) && over(*client);
  }
};

class TlsTest : public ::testing::Test {
 protected:
  Ends connect(const TlsContext& server, const TlsContext& client,
               const std::string& name = "relay.test") {
    TcpPair pair = tcp_pair();
    Ends ends;
    ends.server_fd = pair.server.get();
    ends.client_fd = pair.client.get();
    ends.server = std::make_unique<Talker>(
        loop, make_tls_transport(loop.shard, pair.server.release(), server, ""), 1);
    ends.client = std::make_unique<Talker>(
        loop, make_tls_transport(loop.shard, pair.client.release(), client, name), 2);
    return ends;
  }
  Ends established() {
    Ends ends = connect(server_context, client_context);
    EXPECT_TRUE(loop.run([&] { return ends.settled(); }));
    EXPECT_FALSE(ends.server->failed || ends.client->failed);
    return ends;
  }
  // How the client's handshake fails.
  Error refusal(const TlsContext& server, const TlsContext& client,
                const std::string& name = "relay.test") {
    const Ends ends = connect(server, client, name);
    EXPECT_TRUE(loop.run([&] { return ends.client->failed; }));
    EXPECT_FALSE(ends.client->transport->established());
    return ends.client->transport->error();
  }
  TlsContext trusting(const std::string& ca_file, std::vector<std::string> alpn = {kAlpnLeat}) {
    return TlsContext::client({.pin = {}, .ca_file = ca_file}, std::move(alpn)).value();
  }

  Loop loop;
  Identity identity;
  TlsContext server_context = identity.server();
  TlsContext client_context = identity.client();
};

TEST_F(TlsTest, BothEndsAgreeOnWhatTheConnectionIs) {
  const Ends ends = established();
  for (const auto* end : {&ends.server, &ends.client}) {
    EXPECT_EQ((*end)->transport->alpn(), kAlpnLeat);
    EXPECT_EQ((*end)->transport->sni(), "relay.test");
    EXPECT_TRUE((*end)->transport->secure());
    EXPECT_EQ((*end)->transport->channel_binding().size(), 32u);
    EXPECT_EQ((*end)->transport->peer_host(), "127.0.0.1");
    EXPECT_EQ((*end)->transport->peer().rfind("127.0.0.1:", 0), 0u);
  }
  const std::string binding = ends.server->transport->channel_binding();
  EXPECT_EQ(binding, ends.client->transport->channel_binding());
  const Ends others = established();
  EXPECT_NE(binding, others.server->transport->channel_binding());
}

// --- trust ---

TEST_F(TlsTest, AnotherKeyThanThePinnedOneIsRefused) {
  const Identity other;
  const Ends ends = connect(other.server(), client_context);
  ASSERT_TRUE(loop.run([&] { return ends.client->failed && ends.server->failed; }));
  EXPECT_EQ(ends.client->transport->error().code, Code::PIN_MISMATCH);
  EXPECT_FALSE(ends.server->transport->established() && ends.server->received.size() > 0);
}

TEST_F(TlsTest, APinLooksAtNoName) {
  const Ends ends = connect(server_context, client_context, "other.test");
  ASSERT_TRUE(loop.run([&] { return ends.settled(); }));
  EXPECT_TRUE(ends.client->transport->established());
}

TEST_F(TlsTest, AnAuthorityIsTrustedForTheNamesInTheCertificate) {
  for (const std::string name : {"relay.test", "127.0.0.1"}) {
    const Ends ends = connect(server_context, trusting(identity.certificate()), name);
    ASSERT_TRUE(loop.run([&] { return ends.settled(); })) << name;
    EXPECT_TRUE(ends.client->transport->established()) << name;
  }
  for (const std::string name : {"other.test", "127.0.0.2", "sub.relay.test"}) {
    const Error error = refusal(server_context, trusting(identity.certificate()), name);
    EXPECT_EQ(error.code, Code::CERTIFICATE_REFUSED) << name;
    EXPECT_NE(error.detail.find("mismatch"), std::string::npos) << error.detail;
  }
}

TEST_F(TlsTest, AnUnknownAuthorityIsRefused) {
  const Identity other;
  EXPECT_EQ(refusal(server_context, trusting(other.certificate())).code, Code::CERTIFICATE_REFUSED);
  const auto system = TlsContext::client({}, {kAlpnLeat}).value();
  EXPECT_EQ(refusal(server_context, system).code, Code::CERTIFICATE_REFUSED);
}

TEST_F(TlsTest, FilesThatCannotServeAreNamed) {
  const std::string missing = identity.dir / "missing.pem";
  const Identity other;
  const auto code = [](const auto& result) { return result.error().code; };
  EXPECT_EQ(code(TlsContext::client({.pin = {}, .ca_file = missing}, {})), Code::KEY_FILE);
  EXPECT_EQ(code(TlsContext::server(missing, identity.key(), {})), Code::KEY_FILE);
  EXPECT_EQ(code(TlsContext::server(identity.certificate(), missing, {})), Code::KEY_FILE);
  EXPECT_EQ(code(TlsContext::server(identity.key(), identity.key(), {})), Code::KEY_FILE);
  const auto mixed = TlsContext::server(identity.certificate(), other.key(), {});
  EXPECT_EQ(code(mixed), Code::KEY_FILE);
  EXPECT_EQ(mixed.error().detail, other.key() + ": key values mismatch");
}

// --- which protocol ---

TEST_F(TlsTest, AServerWithoutLeatRefusesAnAgent) {
  EXPECT_EQ(refusal(identity.server({kAlpnHttp}), client_context).code, Code::ALPN_REFUSED);
}

TEST_F(TlsTest, AVisitorMayUseTls12AndAnAgentMayNot) {
  const auto limited = [&](std::vector<std::string> alpn) {
    TlsContext context = identity.client(std::move(alpn));
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    return context;
  };
  EXPECT_EQ(refusal(server_context, limited({kAlpnLeat})).code, Code::ALPN_REFUSED);
  for (const auto& alpn : {std::vector<std::string>{kAlpnHttp}, {kAlpnLeat, kAlpnHttp}}) {
    Ends ends = connect(server_context, limited(alpn));
    ASSERT_TRUE(loop.run([&] { return ends.settled(); }));
    EXPECT_EQ(ends.server->transport->alpn(), kAlpnHttp);
    EXPECT_EQ(ends.client->transport->alpn(), kAlpnHttp);
    EXPECT_EQ(ends.server->transport->channel_binding(), "");
    const std::string text = random_text(300'000, 5);
    ends.client->send(text, true);
    ASSERT_TRUE(loop.run([&] { return ends.server->ended; }));
    EXPECT_TRUE(ends.server->received == text);
  }
}

TEST_F(TlsTest, AnAgentTakesNoTls12) {
  TlsContext old = identity.server();
  SSL_CTX_set_max_proto_version(old.get(), TLS1_2_VERSION);
  EXPECT_EQ(refusal(old, client_context).code, Code::ALPN_REFUSED);
}

// Threat 34.
TEST_F(TlsTest, NobodyMayUseTls11) {
  TlsContext old = identity.client({kAlpnHttp});
  SSL_CTX_set_min_proto_version(old.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(old.get(), TLS1_1_VERSION);
  SSL_CTX_set_cipher_list(old.get(), "ALL:@SECLEVEL=0");
  const Ends ends = connect(server_context, old);
  ASSERT_TRUE(loop.run([&] { return ends.client->failed && ends.server->failed; }));
  EXPECT_FALSE(ends.client->transport->established());
  EXPECT_FALSE(ends.server->transport->established());
  EXPECT_NE(ends.client->transport->error().detail.find("protocol version"), std::string::npos)
      << ends.client->transport->error().text();
}

// A server takes as much as its tickets say, and 0 is none (RFC 8446 §4.2.10, §4.6.1).
TEST_F(TlsTest, TicketsOfferNoEarlyData) {
  TcpPair pair = tcp_pair();
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()),
                                                             SSL_CTX_free);
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context.get()), SSL_free);
  SSL_set_fd(ssl.get(), pair.client.get());
  const Talker server(loop,
                      make_tls_transport(loop.shard, pair.server.release(), server_context, ""), 1);
  const auto turn = [&](auto call) {  // until the server has done its part
    Timer timer(loop.shard, [&] { loop.shard.stop(); });
    int result = call();
    for (int i = 0; i < 1000 && result <= 0; ++i) {
      timer.arm_in(1ms);
      loop.shard.run();
      result = call();
    }
    return result;
  };
  ASSERT_EQ(turn([&] { return SSL_connect(ssl.get()); }), 1);
  ASSERT_EQ(turn([&] { return server.transport->established() ? 1 : 0; }), 1);
  server.transport->write(as_bytes(std::string_view("x")));
  server.transport->flush();
  char byte = 0;
  ASSERT_EQ(turn([&] { return SSL_read(ssl.get(), &byte, 1); }), 1);
  const std::unique_ptr<SSL_SESSION, void (*)(SSL_SESSION*)> session(SSL_get1_session(ssl.get()),
                                                                     SSL_SESSION_free);
  ASSERT_EQ(SSL_SESSION_is_resumable(session.get()), 1) << "there is a ticket";
  EXPECT_EQ(SSL_SESSION_get_max_early_data(session.get()), 0u);
  EXPECT_EQ(SSL_CTX_get_max_early_data(server_context.get()), 0u);
}

TEST_F(TlsTest, AVisitorWithoutAlpnIsServed) {
  const Ends ends = connect(server_context, identity.client({}));
  ASSERT_TRUE(loop.run([&] { return ends.settled(); }));
  EXPECT_TRUE(ends.server->transport->established());
  EXPECT_EQ(ends.server->transport->alpn(), "");
}

TEST_F(TlsTest, AnAgentThatMeetsAPlainHttpServer) {
  TcpPair pair = tcp_pair();
  Talker client(
      loop, make_tls_transport(loop.shard, pair.client.release(), client_context, "relay.test"), 1);
  const std::string_view answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
  ASSERT_GT(::write(pair.server.get(), answer.data(), answer.size()), 0);
  ASSERT_TRUE(loop.run([&] { return client.failed; }));
  EXPECT_EQ(client.transport->error().code, Code::ALPN_REFUSED);
}

// --- what is not TLS, and what stops in the middle ---

TEST_F(TlsTest, GarbageInsteadOfAHandshake) {
  const std::string nonsense[] = {"GET / HTTP/1.1\r\nHost: relay.test\r\n\r\n",
                                  "\n",
                                  std::string(5, '\0'),
                                  std::string("\x16\x03\x01\x00\x05garbage", 12),
                                  std::string("\x16\x03\x01\xff\xff", 5),
                                  random_text(100'000, 11)};
  for (const auto& text : nonsense) {
    TcpPair pair = tcp_pair();
    Talker server(loop, make_tls_transport(loop.shard, pair.server.release(), server_context, ""),
                  1);
    ASSERT_GT(::write(pair.client.get(), text.data(), text.size()), 0);
    // What is not yet five bytes may still become a record until the peer has ended.
    ::shutdown(pair.client.get(), SHUT_WR);
    ASSERT_TRUE(loop.run([&] { return server.failed; }));
    EXPECT_FALSE(server.transport->established());
    EXPECT_FALSE(server.ended);
  }
}

std::string client_hello(const TlsContext& context) {
  SSL* const ssl = SSL_new(context.get());
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, in, out);
  SSL_connect(ssl);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string hello(data, static_cast<std::size_t>(size));
  SSL_free(ssl);
  return hello;
}

struct Watcher final : Watched {
  explicit Watcher(Loop& l) : loop(l) {}
  void on_ready() override { loop.poke(); }
  Loop& loop;
};

TEST_F(TlsTest, AClientHelloMayComeByteByByte) {
  TcpPair pair = tcp_pair();
  Talker server(loop, make_tls_transport(loop.shard, pair.server.release(), server_context, ""), 1);
  Watcher client(loop);
  ASSERT_TRUE(loop.shard.watch(pair.client.get(), client));
  const std::string hello = client_hello(client_context);
  for (std::size_t i = 0; i < hello.size(); ++i) {
    EXPECT_FALSE(client.readable()) << i;
    ASSERT_EQ(::write(pair.client.get(), &hello[i], 1), 1);
    bool ran = false;
    loop.shard.post([&] {
      ran = true;
      loop.poke();
    });
    ASSERT_TRUE(loop.run([&] { return ran; }));
  }
  ASSERT_TRUE(loop.run([&] { return client.readable(); }));
  std::uint8_t answer = 0;
  EXPECT_EQ(::read(pair.client.get(), &answer, 1), 1);
  EXPECT_EQ(answer, 22);  // handshake: the server's hello
  EXPECT_FALSE(server.failed);
  loop.shard.unwatch(client);
}

TEST_F(TlsTest, AClientThatLeavesInTheHandshake) {
  const std::string hello = client_hello(client_context);
  for (const std::size_t part : {std::size_t{0}, std::size_t{1}, hello.size() / 2, hello.size()}) {
    TcpPair pair = tcp_pair();
    Talker server(loop, make_tls_transport(loop.shard, pair.server.release(), server_context, ""),
                  1);
    ASSERT_EQ(::write(pair.client.get(), hello.data(), part), static_cast<ssize_t>(part));
    ::shutdown(pair.client.get(), SHUT_WR);
    ASSERT_TRUE(loop.run([&] { return server.failed; })) << part;
    EXPECT_EQ(server.transport->error().code, Code::CARRIER_CUT);
  }
}

TEST_F(TlsTest, AServerThatLeavesInTheHandshake) {
  TcpPair pair = tcp_pair();
  Talker client(
      loop, make_tls_transport(loop.shard, pair.client.release(), client_context, "relay.test"), 1);
  pair.server.reset();
  ASSERT_TRUE(loop.run([&] { return client.failed; }));
  EXPECT_EQ(client.transport->error().code, Code::CARRIER_CUT);
}

TEST_F(TlsTest, AConnectionCutShortIsNeverAnEnd) {
  const std::string text = random_text(100'000, 6);
  for (const bool reset : {false, true}) {
    Ends ends = established();
    ends.client->send(text, false);
    ASSERT_TRUE(loop.run([&] { return ends.server->received.size() == text.size(); }));
    if (reset) {
      ends.client->transport->abort();
    } else {
      ::shutdown(ends.client_fd, SHUT_WR);  // FIN, as if the process had died
    }
    ASSERT_TRUE(loop.run([&] { return ends.server->failed || ends.server->ended; }));
    EXPECT_TRUE(ends.server->failed);
    EXPECT_FALSE(ends.server->ended);
    EXPECT_TRUE(ends.server->received == text);
    EXPECT_EQ(ends.server->transport->error().code, Code::CARRIER_CUT);
  }
}

// A service that refuses early answers, and closes with the rest of the request unread.
TEST_F(TlsTest, WhatAPeerSaidBeforeItResetIsReadAfterASendHasFailed) {
  const std::string answer = random_text(50'000, 6);
  Ends ends = established();
  ends.client->reading = ends.server->reading = false;
  ends.client->send("a request that nobody reads", false);
  ends.server->send(answer, false);
  const auto waiting = [](int fd) {
    int n = 0;
    ::ioctl(fd, FIONREAD, &n);
    return static_cast<std::size_t>(n);
  };
  Timer look(loop.shard, [&] {
    loop.poke();
    look.arm_in(1ms);
  });
  look.arm_in(0ms);
  ASSERT_TRUE(loop.run(
      [&] { return waiting(ends.server_fd) > 0 && waiting(ends.client_fd) > answer.size(); }));
  ends.server.reset();
  Transport& client = *ends.client->transport;
  ASSERT_TRUE(loop.run([&] { return client.broken(); }));
  EXPECT_EQ(client.write(as_bytes("more")).status, IoStatus::ok);  // into the ring
  client.flush();
  EXPECT_EQ(client.write(as_bytes("more")).status, IoStatus::failed);
  EXPECT_TRUE(client.readable());
  ends.client->reading = true;
  ends.client->work();
  EXPECT_TRUE(ends.client->received == answer) << ends.client->received.size();
  EXPECT_TRUE(ends.client->failed);
  EXPECT_FALSE(ends.client->ended);
}

int data_records = 0;  // seen by libssl, by a callback that takes no state

void count_data_records(int, int, int type, const void* data, std::size_t size, SSL*, void*) {
  if (type == SSL3_RT_HEADER && size > 0 &&
      *static_cast<const unsigned char*>(data) == SSL3_RT_APPLICATION_DATA) {
    ++data_records;
  }
}

// docs/adr/0023.
TEST_F(TlsTest, LibsslSeesRecordsOfVisitorsAndNoneOfAgents) {
  for (const std::string alpn : {kAlpnLeat, kAlpnHttp}) {
    client_context = identity.client({alpn});
    for (const TlsContext* context : {&server_context, &client_context}) {
      SSL_CTX_set_msg_callback(context->get(), count_data_records);
    }
    Ends ends = established();
    data_records = 0;
    const std::string text = random_text(200'000, 5);
    ends.client->send(text, true);
    ends.server->send(text, true);
    ASSERT_TRUE(loop.run([&] { return ends.server->ended && ends.client->ended; })) << alpn;
    EXPECT_TRUE(ends.server->received == text && ends.client->received == text);
    EXPECT_EQ(data_records > 0, alpn == kAlpnHttp) << alpn << " " << data_records;
  }
}

// Not after the end that the other end was told of.
TEST_F(TlsTest, WhoseFaultItIsIsSaid) {
  const std::string forged = std::string{23, 3, 3, 0, 32} + std::string(32, 'x');
  Ends ends = established();
  ASSERT_EQ(::write(ends.client_fd, forged.data(), forged.size()),
            static_cast<ssize_t>(forged.size()));
  ASSERT_TRUE(loop.run([&] { return ends.server->failed && ends.client->failed; }));
  const auto said = [](const auto& end) { return end->transport->error().detail; };
  EXPECT_TRUE(said(ends.server).ends_with("TLS: bad record mac")) << said(ends.server);
  EXPECT_TRUE(said(ends.client).ends_with("TLS: bad record mac, says the other end"))
      << said(ends.client);

  Ends others = established();
  others.client->reading = false;
  others.server->transport->finish();
  ASSERT_TRUE(others.server->transport->flush());
  ASSERT_EQ(::write(others.client_fd, forged.data(), forged.size()),
            static_cast<ssize_t>(forged.size()));
  ASSERT_TRUE(loop.run([&] { return others.server->failed; }));
  EXPECT_TRUE(said(others.server).ends_with("TLS: bad record mac")) << said(others.server);
}

// An attacker in the middle flips a bit of a record.
TEST_F(TlsTest, AChangedRecordIsAFailure) {
  Ends ends = established();
  const std::string forged = std::string{23, 3, 3, 0, 32} + std::string(32, 'x');
  ASSERT_EQ(::write(ends.client_fd, forged.data(), forged.size()),
            static_cast<ssize_t>(forged.size()));
  ASSERT_TRUE(loop.run([&] { return ends.server->failed; }));
  EXPECT_EQ(ends.server->transport->error().code, Code::PROTOCOL);
  EXPECT_EQ(ends.server->received, "");
}

// --- rings ---

TEST_F(TlsTest, WriteRoomIsExactAndNeedsNoSystemCall) {
  Ends ends = established();
  Transport& client = *ends.client->transport;
  ends.server->reading = false;
  ASSERT_EQ(client.write_room(), limits::kRing);
  const auto sends = client.counters().sends;
  const std::string text = random_text(client.write_room(), 7);
  const IoResult all = client.write(as_bytes(text));
  EXPECT_EQ(all.status, IoStatus::ok);
  EXPECT_EQ(all.n, text.size());
  EXPECT_EQ(client.write_room(), 0u);
  EXPECT_EQ(client.counters().sends, sends);
  EXPECT_TRUE(client.flush());  // within the socket's buffer: one call for all four records
  EXPECT_EQ(client.counters().sends, sends + 1);
  EXPECT_EQ(client.write_room(), limits::kRing);
}

TEST_F(TlsTest, WhatNobodyFlushesGoesOutAfterTheBatch) {
  Ends ends = established();
  EXPECT_EQ(ends.client->transport->write(as_bytes("forgotten")).n, 9u);
  EXPECT_TRUE(loop.run([&] { return ends.server->received == "forgotten"; }));
}

TEST_F(TlsTest, RingsAreHeldOnlyWhileTheyHoldBytes) {
  Ends ends = established();
  const RingPool& rings = loop.shard.rings();
  EXPECT_EQ(rings.in_use(), 0u);
  ends.server->reading = false;
  const std::string text = random_text(16 << 20, 8);
  ends.client->send(text, true);  // more than the kernel takes
  EXPECT_EQ(rings.in_use(), 1u);
  ends.server->reading = true;
  ends.server->work();
  ASSERT_TRUE(loop.run([&] { return ends.server->ended; }));
  EXPECT_TRUE(ends.server->received == text);
  EXPECT_EQ(rings.in_use(), 0u);
}

// Carries at most `size` bytes that wait at one socket to the other.
void carry(const Fd& from, const Fd& to, std::size_t size = 100'000) {
  std::vector<char> bytes(size);
  const ssize_t n = ::recv(from.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (n <= 0) return;
  ASSERT_EQ(::send(to.get(), bytes.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL), n);
}

// Of a record that has come in part a stranger has no ring: there may be a thousand of them.
TEST_F(TlsTest, PartOfARecordHoldsNoRingOfAStranger) {
  TcpPair ours = tcp_pair(), theirs = tcp_pair();
  Talker server(loop, make_tls_transport(loop.shard, ours.server.release(), server_context, ""), 1);
  Talker client(
      loop, make_tls_transport(loop.shard, theirs.client.release(), client_context, "relay.test"),
      2);
  const auto settled = [&] {
    return server.transport->established() && client.transport->established();
  };
  for (int i = 0; i < 5000 && !loop.run(settled, 1ms); ++i) {
    carry(ours.client, theirs.server);
    carry(theirs.server, ours.client);
  }
  ASSERT_TRUE(settled());
  for (const std::size_t part : {3u, 8000u, 16'000u, 8001u}) {
    const bool stranger = part != 8001;
    if (!stranger) {
      const std::size_t before = server.received.size();
      client.send(random_text(limits::kRing, 7), false);
      for (int i = 0; i < 5000 && server.received.size() < before + limits::kRing; ++i) {
        carry(theirs.server, ours.client);
        loop.run([] { return false; }, 1ms);
      }
    }
    server.received.clear();
    const std::string text = random_text(limits::kTlsRecord, 9);
    client.send(text, false);
    client.transport->flush();
    EXPECT_EQ(loop.shard.rings().in_use(), 0u);
    const std::uint64_t before = server.transport->counters().received;
    carry(theirs.server, ours.client, part);
    const auto arrived = [&] { return server.transport->counters().received - before; };
    for (int i = 0; i < 5000 && arrived() < part; ++i) loop.run([] { return false; }, 1ms);
    ASSERT_EQ(arrived(), part);
    EXPECT_EQ(loop.shard.rings().in_use(), stranger ? 0u : 1u);
    EXPECT_FALSE(server.transport->readable());
    for (int i = 0; i < 5000 && server.received.size() < text.size(); ++i) {
      carry(theirs.server, ours.client);
      loop.run([] { return false; }, 1ms);
    }
    EXPECT_TRUE(server.received == text) << "after " << part;
  }
}

TEST_F(TlsTest, OneReceiveFeedsManyRecords) {
  Ends ends = established();
  ends.server->reading = false;
  std::string text;
  for (int i = 0; i < 300; ++i) {
    const std::string piece(100, static_cast<char>('a' + i % 26));
    text += piece;
    ASSERT_EQ(ends.client->transport->write(as_bytes(piece)).n, piece.size());
  }
  const auto sends = ends.client->transport->counters().sends;
  ASSERT_TRUE(ends.client->transport->flush());
  EXPECT_EQ(ends.client->transport->counters().sends, sends + 1);
  const auto receives = ends.server->transport->counters().receives;
  ends.server->reading = true;
  ASSERT_TRUE(loop.run([&] { return ends.server->received.size() == text.size(); }));
  EXPECT_EQ(ends.server->received, text);
  EXPECT_EQ(ends.server->transport->counters().receives, receives + 1);
}

int key_updates = 0;  // written and read, by a callback that takes no state

void count_key_updates(int, int, int type, const void* data, std::size_t size, SSL*, void*) {
  if (type == SSL3_RT_HANDSHAKE && size > 0 &&
      *static_cast<const unsigned char*>(data) == SSL3_MT_KEY_UPDATE) {
    ++key_updates;
  }
}

// Where libssl has the records; of leat/1 it is openssl_test that counts.
TEST_F(TlsTest, KeysAreReplacedByVolume) {
  client_context = identity.client({kAlpnHttp});
  server_context.set_key_update(100'000);
  client_context.set_key_update(50'000);
  SSL_CTX_set_msg_callback(server_context.get(), count_key_updates);
  key_updates = 0;
  Ends ends = established();
  const std::string up = random_text(1 << 20, 3), down = random_text(1 << 20, 4);
  ends.client->send(up, true);
  ends.server->send(down, true);
  ASSERT_TRUE(loop.run([&] { return ends.server->ended && ends.client->ended; }));
  EXPECT_TRUE(ends.server->received == up);
  EXPECT_TRUE(ends.client->received == down);
  EXPECT_GE(key_updates, (1 << 20) / 120'000 + (1 << 20) / 70'000);
  EXPECT_LE(key_updates, (1 << 20) / 100'000 + (1 << 20) / 50'000);
}

// --- lifetimes ---

// Ends everything inside the callback that tells the handshake's end.
struct Leaver final : TransportOwner {
  Leaver(Loop& l, std::unique_ptr<Transport> t) : loop(l), transport(std::move(t)) {
    transport->set_owner(this);
  }
  void on_transport() override {
    ++calls;
    loop.shard.dispose(std::move(transport));
    loop.poke();
  }
  Loop& loop;
  std::unique_ptr<Transport> transport;
  int calls = 0;
};

TEST_F(TlsTest, AnOwnerMayDisposeOfItInTheCallback) {
  TcpPair pair = tcp_pair();
  Leaver server(loop, make_tls_transport(loop.shard, pair.server.release(), server_context, ""));
  Talker client(
      loop, make_tls_transport(loop.shard, pair.client.release(), client_context, "relay.test"), 1);
  ASSERT_TRUE(loop.run([&] { return client.failed; }));
  EXPECT_EQ(server.calls, 1);
}

TEST_F(TlsTest, DestroyedInTheHandshake) {
  for (int rounds = 0; rounds < 4; ++rounds) {
    Ends ends = connect(server_context, client_context);
    Timer end(loop.shard, [&] { loop.shard.stop(); });
    end.arm_in(rounds * 200us);
    loop.shard.run();
  }
  EXPECT_EQ(loop.shard.rings().in_use(), 0u);
}

TEST_F(TlsTest, FinishBeforeTheHandshakeHasEnded) {
  Ends ends = connect(server_context, client_context);
  ends.client->transport->finish();
  ends.client->finished = true;
  ASSERT_TRUE(loop.run([&] { return ends.server->ended; }));
  EXPECT_FALSE(ends.server->failed);
}

// One end in a thread of its own: shards share nothing.
TEST_F(TlsTest, TwoShardsInTwoThreads) {
  TcpPair pair = tcp_pair();
  const std::string up = random_text(1 << 20, 3), down = random_text(1 << 20, 4);
  std::string client_received;
  bool client_ended = false;
  std::thread other([&, fd = pair.client.release()] {
    Loop their_loop;
    const TlsContext context = identity.client();
    Talker client(their_loop, make_tls_transport(their_loop.shard, fd, context, "relay.test"), 2);
    client.send(up, true);
    client_ended = their_loop.run([&] { return client.ended && client.finished; });
    client_received = client.received;
  });
  Talker server(loop, make_tls_transport(loop.shard, pair.server.release(), server_context, ""), 1);
  server.send(down, true);
  EXPECT_TRUE(loop.run([&] { return server.ended && server.finished; }));
  other.join();
  EXPECT_TRUE(client_ended);
  EXPECT_TRUE(server.received == up);
  EXPECT_TRUE(client_received == down);
}

}  // namespace
}  // namespace leat::net
