// Our TLS against the openssl program, in both roles.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "net/process.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/tls_fixture.h"

namespace leat::net {
namespace {

int count(const std::string& text, const std::string& what) {
  int times = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++times;
  return times;
}

class OpensslTest : public ::testing::Test {
 protected:
  // `openssl s_client` connected to our server.
  void client(std::vector<std::string> arguments) {
    auto opened = Listener::open(loop.shard, {"127.0.0.1", 0}, [this](Fd fd) {
      server = std::make_unique<Talker>(
          loop, make_tls_transport(loop.shard, fd.release(), server_context, ""), 1);
      loop.poke();
    });
    ASSERT_TRUE(opened);
    listener = std::move(*opened);
    arguments.insert(arguments.begin(),
                     {"openssl", "s_client", "-connect", listener->address().text(), "-CAfile",
                      identity.certificate(), "-verify_hostname", "relay.test", "-servername",
                      "relay.test", "-verify_return_error"});
    process.emplace(arguments);
    program =
        std::make_unique<Talker>(loop, make_plain_transport(loop.shard, process->io.release()), 2);
    ASSERT_TRUE(loop.run([this] { return server && server->transport->established(); }));
  }

  // Our client connected to `openssl s_server -rev`, which answers each line reversed.
  void reversing_server(std::vector<std::string> arguments, const TlsContext& context) {
    arguments.insert(arguments.begin(), {"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
                                         identity.certificate(), "-key", identity.key(), "-rev"});
    process.emplace(arguments);
    program =
        std::make_unique<Talker>(loop, make_plain_transport(loop.shard, process->io.release()), 2);
    ASSERT_TRUE(loop.run([this] { return port() != 0; })) << program->received;
    dial = Dial::start(
        loop.shard, {"127.0.0.1", port()}, std::chrono::seconds(10), [&](Result<Fd> fd) {
          ASSERT_TRUE(fd) << fd.error().text();
          ours = std::make_unique<Talker>(
              loop, make_tls_transport(loop.shard, fd->release(), context, "relay.test"), 1);
          loop.poke();
        });
    ASSERT_TRUE(
        loop.run([this] { return ours && (ours->transport->established() || ours->failed); }));
  }
  std::uint16_t port() const {
    const std::string mark = "ACCEPT 127.0.0.1:";
    const std::size_t at = program->received.find(mark);
    if (at == std::string::npos || program->received.find('\n', at) == std::string::npos) return 0;
    return static_cast<std::uint16_t>(std::stoi(program->received.substr(at + mark.size())));
  }

  Loop loop;
  Identity identity;
  TlsContext server_context = identity.server();
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Dial> dial;
  std::optional<Process> process;
  std::unique_ptr<Talker> server, ours, program;
};

TEST_F(OpensslTest, ClientOfEitherVersion) {
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    client({"-quiet", version, "-alpn", "http/1.1"});
    EXPECT_EQ(server->transport->alpn(), kAlpnHttp);
    EXPECT_EQ(server->transport->sni(), "relay.test");
    const std::string up = random_text(200'000, 3), down = random_text(200'000, 4);
    program->send(up, false);
    ASSERT_TRUE(loop.run([&] { return server->received.size() == up.size(); })) << version;
    EXPECT_TRUE(server->received == up);
    server->send(down, true);
    // Behind what the program says of the certificate.
    ASSERT_TRUE(loop.run([&] { return program->received.ends_with(down); })) << version;
    ASSERT_TRUE(loop.run([&] { return server->ended || server->failed; })) << version;
    EXPECT_TRUE(server->ended) << version;  // it answers close_notify with its own
    program.reset();
    process.reset();
    server.reset();
  }
}

// "K" at the beginning of a line makes s_client replace its keys and ask for ours, "k" only its
// own.
TEST_F(OpensslTest, ClientThatReplacesKeys) {
  client({"-tls1_3", "-msg", "-alpn", kAlpnLeat});
  std::string expected;
  int asked = 0;
  const auto answers = [this] {
    return count(program->received, "<<< TLS 1.3, Handshake [length 0005], KeyUpdate");
  };
  for (const std::string command : {"K\n", "k\n", "K\n"}) {
    const std::size_t before = program->received.size();
    program->send(command, false);
    ASSERT_TRUE(loop.run([&] {
      return program->received.find("KEYUPDATE\n", before) != std::string::npos;
    })) << program->received;
    const std::string line = "line" + std::to_string(expected.size()) + "\n";
    program->send(line, false);
    expected += line;
    ASSERT_TRUE(loop.run([&] { return server->received == expected; })) << server->received;
    const std::string reply = "reply" + std::to_string(expected.size()) + "\n";
    server->send(reply, false);
    ASSERT_TRUE(loop.run([&] { return program->received.find(reply) != std::string::npos; }));
    if (command == "K\n") ++asked;
    EXPECT_EQ(answers(), asked);  // RFC 8446 §4.6.3
  }
}

// RFC 6066 §4, which libssl keeps to.
TEST_F(OpensslTest, ClientThatWantsShortRecords) {
  client({"-quiet", "-tls1_3", "-alpn", kAlpnLeat, "-maxfraglen", "512"});
  EXPECT_EQ(server->transport->alpn(), kAlpnLeat);
  const std::string down = random_text(100'000, 4);
  server->send(down, true);
  ASSERT_TRUE(loop.run([&] { return program->received.ends_with(down); }));
  ASSERT_TRUE(loop.run([&] { return server->ended || server->failed; }));
  EXPECT_TRUE(server->ended);
}

// Ours are replaced by volume.
TEST_F(OpensslTest, EverySuiteBothWays) {
  server_context.set_key_update(50'000);
  for (const std::string suite :
       {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    client({"-quiet", "-tls1_3", "-msg", "-alpn", kAlpnLeat, "-ciphersuites", suite});
    const std::string up = random_text(200'000, 3);
    program->send(up, false);
    ASSERT_TRUE(loop.run([&] { return server->received.size() >= up.size(); })) << suite;
    EXPECT_TRUE(server->received == up) << suite;
    const std::string down = random_text(400'000, 4);
    const auto updates = [this] { return count(program->received, ", KeyUpdate"); };
    server->send(down, true);
    ASSERT_TRUE(loop.run([&] { return server->ended || server->failed; })) << suite;
    EXPECT_TRUE(server->ended) << suite;
    ASSERT_TRUE(loop.run([&] { return program->ended || program->failed; })) << suite;
    EXPECT_GE(updates(), 400'000 / 70'000) << suite;
    EXPECT_LE(updates(), 400'000 / 50'000) << suite;
    EXPECT_EQ(program->received.find("NewSessionTicket"), std::string::npos) << suite;
    program.reset();
    process.reset();
    server.reset();
  }
}

int server_hellos = 0;  // sent, by a callback that takes no state

void count_server_hellos(int, int, int type, const void* data, std::size_t size, SSL*, void*) {
  if (type == SSL3_RT_HANDSHAKE && size > 0 &&
      *static_cast<const unsigned char*>(data) == SSL3_MT_SERVER_HELLO) {
    ++server_hellos;
  }
}

// "R" asks for another handshake, which TLS 1.2 would allow.
TEST_F(OpensslTest, RenegotiationIsRefused) {
  SSL_CTX_set_msg_callback(server_context.get(), count_server_hellos);
  server_hellos = 0;
  client({"-tls1_2", "-alpn", "http/1.1"});
  program->send("R\n", false);
  ASSERT_TRUE(loop.run([&] { return server->ended || server->failed; }));
  EXPECT_EQ(server_hellos, 1);
  EXPECT_NE(program->received.find("RENEGOTIATING"), std::string::npos);
}

TEST_F(OpensslTest, ClientThatIsKilledIsNoEnd) {
  client({"-quiet", "-alpn", "http/1.1"});
  program->send("half a mess", false);
  ASSERT_TRUE(loop.run([&] { return server->received == "half a mess"; }));
  process.reset();
  ASSERT_TRUE(loop.run([&] { return server->ended || server->failed; }));
  EXPECT_TRUE(server->failed);
}

TEST_F(OpensslTest, ServerWithLeat) {
  reversing_server({"-alpn", kAlpnLeat}, identity.client());
  ASSERT_TRUE(ours->transport->established());
  EXPECT_EQ(ours->transport->alpn(), kAlpnLeat);
  ours->send("stream\n", false);
  ASSERT_TRUE(loop.run([&] { return ours->received == "maerts\n"; })) << ours->received;
  ours->transport->finish();
  ours->finished = true;
  ASSERT_TRUE(loop.run([&] { return ours->ended || ours->failed; }));
}

TEST_F(OpensslTest, ServerThatKnowsNoAlpnIsNoRelay) {
  reversing_server({}, identity.client());
  ASSERT_TRUE(ours->failed);
  EXPECT_EQ(ours->transport->error().code, Code::ALPN_REFUSED);
}

TEST_F(OpensslTest, ServerOfTls12ForAService) {
  const auto context =
      TlsContext::client({.pin = {}, .ca_file = identity.certificate()}, {kAlpnHttp});
  reversing_server({"-tls1_2"}, *context);
  ASSERT_TRUE(ours->transport->established());
  ours->send("stream\n", false);
  ASSERT_TRUE(loop.run([&] { return ours->received == "maerts\n"; }));
}

}  // namespace
}  // namespace leat::net
