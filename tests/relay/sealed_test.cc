// The door of sealed tunnels (docs/protocol.md §8.1): bytes in and out, and what its close codes
// say.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/websocket.h"
#include "relay/world.h"

namespace leat::relay {
namespace {

using http::ws::Opcode;

constexpr http::ws::MaskKey kKey = {7, 8, 9, 10};
constexpr char kUpgrade[] =
    "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
constexpr char kSubprotocol[] = "Sec-WebSocket-Protocol: leat-sealed.1\r\n";

std::string message(Opcode opcode, std::string_view payload) {
  std::string out;
  http::ws::append_frame(out, opcode, as_bytes(payload), &kKey);
  return out;
}

class SealedDoorTest : public World {
 protected:
  static control::TunnelRequest sealed(std::string id = "den") {
    return {std::move(id), control::TunnelKind::sealed, false, 0};
  }
  // A visitor that has come through, and its stream at the agent.
  void enter() {
    home = online({sealed()});
    guest = visitor();
    guest->get("/sealed/den",
               std::string(kUpgrade) + kSubprotocol + "Origin: https://any.page\r\n");
    ASSERT_TRUE(until([&] {
      return !home->streams.empty() && home->streams[0]->opened() && guest->has("\r\n\r\n");
    }));
  }
  Served& stream() { return *home->streams[0]; }
  // What the relay sent in messages, and with which code it closed; 0: it has not.
  struct Received {
    std::string bytes, reason;
    std::uint16_t code = 0;
  };
  Received received() const {
    Received out;
    std::string body = guest->body();
    MutableBytes rest(reinterpret_cast<std::uint8_t*>(body.data()), body.size());
    http::ws::FrameReader reader(http::ws::Role::client, 1 << 20);
    for (;;) {
      std::size_t used = 0;
      const http::ws::Event event = reader.feed(rest, used);
      rest = rest.subspan(used);
      if (event.kind == http::ws::Event::Kind::data) out.bytes += as_chars(event.payload);
      if (event.kind == http::ws::Event::Kind::close) {
        out.code = event.code;
        out.reason = as_chars(event.payload);
      }
      if (event.kind != http::ws::Event::Kind::data) return out;
    }
  }

  std::unique_ptr<FakeAgent> home;
  std::unique_ptr<Visitor> guest;
};

// Threat 22.
TEST_F(SealedDoorTest, NoExtensionIsAgreedOn) {
  home = online({sealed()});
  guest = visitor();
  guest->get("/sealed/den", std::string(kUpgrade) + kSubprotocol +
                                "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  ASSERT_TRUE(until([&] { return guest->has("\r\n\r\n"); }));
  EXPECT_TRUE(guest->has("HTTP/1.1 101"));
  EXPECT_FALSE(guest->has("Sec-WebSocket-Extensions"));
  guest->send(std::string("\xc2\x80key.", 6));  // as if it were: RSV1
  ASSERT_TRUE(until([&] { return received().code != 0; }));
  EXPECT_EQ(received().code, http::ws::kProtocolError);
}

class BehindProxy : public SealedDoorTest {
  void configure(Options& options) override {
    options.trusted_proxies = {Cidr::parse("127.0.0.2/32").value()};
  }
};

TEST_F(BehindProxy, TheVisitorIsWhomATrustedOneNames) {
  home = online({sealed()});
  const std::string fields =
      std::string(kUpgrade) + kSubprotocol + "X-Forwarded-For: 192.0.2.7\r\n";
  const auto trusted = visitor(0, "127.0.0.2");
  trusted->get("/sealed/den", fields);
  ASSERT_TRUE(until([&] { return home->streams.size() == 1 && home->streams[0]->opened(); }));
  EXPECT_EQ(home->streams[0]->visitor(), "192.0.2.7:0");
  const auto anybody = visitor(0, "127.0.0.3");
  anybody->get("/sealed/den", fields);
  ASSERT_TRUE(until([&] { return home->streams.size() == 2 && home->streams[1]->opened(); }));
  EXPECT_TRUE(home->streams[1]->visitor().starts_with("127.0.0.3:"));
}

class FewDescriptors : public SealedDoorTest {
 protected:
  void configure(Options& options) override { options.descriptors = 4; }
  std::unique_ptr<Visitor> comes() {
    auto one = visitor();
    one->get("/sealed/den", std::string(kUpgrade) + kSubprotocol);
    EXPECT_TRUE(until([&] { return one->has("\r\n\r\n") || one->over(); }));
    return one;
  }
};

// Of an address half of the descriptors, as everybody's who came by HTTP.
TEST_F(FewDescriptors, WhoIsInsideStaysCounted) {
  home = online({sealed()});
  auto first = comes(), second = comes();
  EXPECT_TRUE(first->has("HTTP/1.1 101") && second->has("HTTP/1.1 101"));
  EXPECT_TRUE(comes()->over());
  first.reset();
  bool entered = false;
  for (int tries = 0; tries < 100 && !entered; ++tries) {
    pass(std::chrono::milliseconds(10));
    entered = comes()->has("HTTP/1.1 101");
  }
  EXPECT_TRUE(entered);
}

TEST_F(SealedDoorTest, PassesBytesWhateverTheyAreAndFromWhicheverPage) {
  enter();
  EXPECT_TRUE(guest->has("HTTP/1.1 101"));
  EXPECT_TRUE(guest->has("leat-sealed.1"));
  EXPECT_FALSE(guest->has("Sec-WebSocket-Extensions"));
  EXPECT_EQ(stream().tunnel(), "den");
  const std::string opaque = std::string("\0\xff\r\n", 4) + "anything";
  guest->send(message(Opcode::binary, opaque.substr(0, 3)) +
              message(Opcode::binary, opaque.substr(3)));
  ASSERT_TRUE(until([&] { return stream().text() == opaque; }));
  stream().reply().send(opaque);
  ASSERT_TRUE(until([&] { return received().bytes == opaque; }));
}

TEST_F(SealedDoorTest, FinIsACloseOf1000AndAResetOneOf1011) {
  enter();
  stream().reply().send("bye").finish();
  ASSERT_TRUE(until([&] { return received().code != 0; }));
  EXPECT_EQ(received().code, 1000);
  EXPECT_EQ(received().bytes, "bye");
  home.reset();
  enter();
  stream().reply().send("b");
  ASSERT_TRUE(until([&] { return received().bytes == "b"; }));
  stream().cut();
  ASSERT_TRUE(until([&] { return received().code != 0 || guest->over(); }));
  EXPECT_EQ(received().code, 1011);
}

TEST_F(SealedDoorTest, ARefusalIsACloseOf1013WithItsCode) {
  enter();
  stream().send(std::string("\x16\x0a\x14\x0a\x12LEAT_AGENT_OFFLINE", 23)).finish();
  ASSERT_TRUE(until([&] { return received().code != 0; }));
  EXPECT_EQ(received().code, 1013);
  EXPECT_EQ(received().reason, "LEAT_AGENT_OFFLINE");
}

TEST_F(SealedDoorTest, ATunnelWithRulesForVisitorsIsRefused) {
  control::TunnelRequest guarded = sealed("kept");
  guarded.visitors.allow = {"192.0.2.0/24"};
  const auto agent = online({guarded, sealed()});
  ASSERT_TRUE(until([&] { return agent->settled(); }));
  EXPECT_EQ(agent->refused().at(0).code, Code::BAD_POLICY);
  EXPECT_EQ(agent->bound().count(1), 1u);
}

TEST_F(SealedDoorTest, TextIsClosedWith1003) {
  enter();
  stream().reply();
  guest->send(message(Opcode::text, "hello"));
  ASSERT_TRUE(until([&] { return received().code != 0 || guest->over(); }));
  EXPECT_EQ(received().code, 1003);
  ASSERT_TRUE(until([&] { return stream().was_reset(); }));
}

TEST_F(SealedDoorTest, UnknownOfflineAndOtherKindsAnswerAlike) {
  home = online({http("web")});
  std::vector<std::string> answers;
  for (const char* id : {"nobody", "web"}) {
    auto stranger = visitor();
    stranger->get(std::string("/sealed/") + id,
                  std::string(kUpgrade) + kSubprotocol + "X-Request-Id: same\r\n");
    ASSERT_TRUE(until([&] { return stranger->has("LEAT_AGENT_OFFLINE"); }));
    EXPECT_TRUE(stranger->has("HTTP/1.1 503"));
    answers.push_back(stranger->text());
  }
  EXPECT_EQ(answers[0], answers[1]);
}

TEST_F(SealedDoorTest, TakesWebSocketsOfItsSubprotocolOnlyAndIsNoTunnelOfHttp) {
  home = online({sealed()});
  for (const std::string& fields : {std::string(), std::string(kUpgrade),
                                    kUpgrade + std::string("Sec-WebSocket-Protocol: leat.1\r\n")}) {
    auto stranger = visitor();
    stranger->get("/sealed/den", fields);
    ASSERT_TRUE(until([&] { return stranger->has("\r\n\r\n"); }));
    EXPECT_TRUE(stranger->has("HTTP/1.1 426")) << fields;
  }
  auto stranger = visitor();
  stranger->get("/tunnel/den/");
  ASSERT_TRUE(until([&] { return stranger->has("LEAT_AGENT_OFFLINE"); }));
}

}  // namespace
}  // namespace leat::relay
