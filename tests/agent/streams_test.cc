// Streams as a whole: the preamble, tcp tunnels, and every way a service can be out of reach
// (docs/protocol.md §4).
#include <string>
#include <utility>

#include "agent/world.h"
#include "base/limits.h"

namespace leat::agent {
namespace {

using control::TunnelKind;

class Streams : public World {
 protected:
  // An address nobody listens on.
  HostPort closed_port() {
    Origin& gone = origin([](OriginConnection&) {});
    HostPort address = gone.address();
    gone.stop_listening();
    return address;
  }
  Visit& visit_tcp() { return relay.open("ssh", TunnelKind::tcp); }
};

TEST_F(Streams, TcpIsSplicedBothWaysWithHalfClose) {
  Origin& echo = origin([](OriginConnection& c) {
    c.send(std::exchange(c.received, {}));
    if (c.ended) c.finish();
  });
  online({service("ssh", TunnelKind::tcp, echo.address())});
  Visit& visit = visit_tcp().send("ping ").send("pong").finish();
  ASSERT_TRUE(until([&] { return visit.over(); }));
  EXPECT_TRUE(visit.replied());
  EXPECT_EQ(visit.failure(), "");
  EXPECT_EQ(visit.text(), "ping pong");
  EXPECT_TRUE(visit.ended());
  EXPECT_TRUE(idle());
}

TEST_F(Streams, TheServiceMaySpeakFirst) {
  Origin& ssh = origin([](OriginConnection& c) {
    if (c.received.empty()) c.send("SSH-2.0-x\r\n");
  });
  online({service("ssh", TunnelKind::tcp, ssh.address())});
  Visit& visit = visit_tcp();
  ASSERT_TRUE(until([&] { return visit.has("SSH-2.0-x\r\n"); }));
}

TEST_F(Streams, AnEndThatComesDuringTheDialReachesTheService) {
  Origin& sink = origin([](OriginConnection& c) {
    if (c.ended) c.finish();
  });
  online({service("ssh", TunnelKind::tcp, sink.address())});
  Visit& visit = visit_tcp().finish();
  ASSERT_TRUE(until([&] { return visit.over(); }));
  EXPECT_TRUE(visit.ended());
  EXPECT_TRUE(sink.connections.front()->ended);
}

TEST_F(Streams, ACutServiceIsAResetNotAnEnd) {
  Origin& cutter = origin([](OriginConnection& c) {
    c.send("half");
    if (!c.received.empty()) c.cut();
  });
  online({service("ssh", TunnelKind::tcp, cutter.address())});
  Visit& visit = visit_tcp();
  ASSERT_TRUE(until([&] { return visit.has("half"); }));
  visit.send("x");
  ASSERT_TRUE(until([&] { return visit.over(); }));
  EXPECT_TRUE(visit.was_reset());
}

TEST_F(Streams, AVisitorWhoBreaksOffCutsTheServicesConnection) {
  Origin& mute = origin([](OriginConnection&) {});
  online({service("ssh", TunnelKind::tcp, mute.address())});
  Visit& visit = visit_tcp().send("x");
  ASSERT_TRUE(until(
      [&] { return !mute.connections.empty() && mute.connections.front()->received == "x"; }));
  visit.reset();
  ASSERT_TRUE(until([&] { return mute.connections.front()->gone(); }));
  EXPECT_TRUE(mute.connections.front()->failed);
  EXPECT_TRUE(idle());
}

// What was published is a WebSocket server's rooms, not whatever else answers at its port.
TEST_F(Streams, ARoomTakesWebSocketsOnly) {
  constexpr std::string_view kUpgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  Origin& server = origin([](OriginConnection& c) {
    if (!std::exchange(c.received, {}).empty()) {
      c.send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    }
  });
  online({service("notes", TunnelKind::ws, server.address())});
  const auto ask = [&](std::string_view method, std::string_view fields) -> Visit& {
    return relay.open("notes", TunnelKind::ws)
        .send(std::string(method) + " / HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n");
  };
  const std::string handshake = std::string(kUpgrade) +
                                "Sec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  for (const auto& [method, fields] : {std::pair<std::string_view, std::string_view>{"GET", ""},
                                       {"GET", "Connection: Upgrade\r\nUpgrade: chat\r\n"},
                                       {"GET", kUpgrade},
                                       {"POST", handshake}}) {
    Visit& visit = ask(method, fields);
    ASSERT_TRUE(until([&] { return visit.over(); })) << method << fields;
    EXPECT_TRUE(visit.was_reset()) << method << fields;
  }
  EXPECT_TRUE(server.connections.empty());
  Visit& visit = ask("GET", handshake);
  ASSERT_TRUE(until([&] { return visit.has(" 101 "); }));
}

TEST_F(Streams, ARefusedDialIsSaidAndEnded) {
  online({service("ssh", TunnelKind::tcp, closed_port())});
  Visit& visit = visit_tcp().send("into the void").finish();
  ASSERT_TRUE(until([&] { return visit.over(); }));
  EXPECT_EQ(visit.failure(), "LEAT_SERVICE_REFUSED");
  EXPECT_TRUE(visit.ended());
}

TEST_F(Streams, ARefusedHttpDialIsSaidAndEnded) {
  online({service("web", TunnelKind::http, closed_port())});
  Visit& got = visit("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_EQ(got.failure(), "LEAT_SERVICE_REFUSED");
  EXPECT_EQ(got.text(), "");
  EXPECT_TRUE(got.ended());
  EXPECT_TRUE(idle());
}

TEST_F(Streams, ANameThatDoesNotResolveIsUnreachable) {
  online({service("ssh", TunnelKind::tcp, {"no-such-host.invalid", 80})});
  Visit& visit = visit_tcp();
  ASSERT_TRUE(until([&] { return visit.over(); }));
  EXPECT_EQ(visit.failure(), "LEAT_SERVICE_UNREACHABLE");
}

TEST_F(Streams, OnlyTunnelsOfTheConfigurationAreServed) {
  Origin& mute = origin([](OriginConnection&) {});
  online({service("ssh", TunnelKind::tcp, mute.address())});
  Visit& unknown = relay.open("other", TunnelKind::tcp).send("x").finish();
  Visit& kind = relay.open("ssh", TunnelKind::http).send("x").finish();
  ASSERT_TRUE(until([&] { return unknown.over() && kind.over(); }));
  EXPECT_EQ(unknown.failure(), "LEAT_NO_SUCH_SERVICE");
  EXPECT_TRUE(unknown.ended());
  EXPECT_EQ(kind.failure(), "LEAT_NO_SUCH_SERVICE");
  EXPECT_TRUE(mute.connections.empty());
}

// Threat 19: a relay that wants to see more of the agent's network than was published.
TEST_F(Streams, NothingElseIsDialledWhateverTheRelayAsksFor) {
  Origin& bystander = origin([](OriginConnection&) {});
  const std::string there = bystander.address().text();
  std::vector<std::string> asked;
  Origin& web = origin(on_head([&](OriginConnection& c, const std::string& head) {
    asked.push_back(head);
    c.send("HTTP/1.1 307 x\r\nLocation: http://" + there + "/\r\nContent-Length: 0\r\n\r\n");
  }));
  online({service("web", TunnelKind::http, web.address())});
  // By a tunnel's name …
  for (const std::string& name :
       {there, "http://" + there, "tcp://" + there, "web@" + there, "web/../" + there,
        web.address().text(), std::string("web\0", 4), std::string("WEB"), std::string()}) {
    for (const auto kind :
         {TunnelKind::http, TunnelKind::tcp, TunnelKind::ws, TunnelKind::tls, TunnelKind::sealed}) {
      Visit& visit = relay.open(name, kind).send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").finish();
      ASSERT_TRUE(until([&] { return visit.over(); })) << name;
      EXPECT_EQ(visit.failure(), "LEAT_NO_SUCH_SERVICE") << name;
    }
  }
  // … by a request's target …
  for (const std::string& start : {"GET http://" + there + "/", "CONNECT " + there}) {
    Visit& got = visit(start + " HTTP/1.1\r\nHost: " + there + "\r\n\r\n");
    ASSERT_TRUE(until([&] { return got.over(); })) << start;
    EXPECT_TRUE(got.was_reset()) << start;
  }
  EXPECT_TRUE(web.connections.empty());
  // … by its fields, or by way of the service.
  Visit& got =
      visit("GET //" + there + "/ HTTP/1.1\r\nHost: " + there + "\r\nX-Forwarded-Host: " + there +
            "\r\nForwarded: host=\"" + there + "\"\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.has(" 307 ")) << got.text();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_NE(asked[0].find("Host: " + web.address().text() + "\r\n"), std::string::npos) << asked[0];
  ASSERT_TRUE(idle());
  EXPECT_TRUE(bystander.connections.empty());
}

TEST_F(Streams, APreambleBeyondItsLimitResetsItsStreamOnly) {
  Origin& echo = origin([](OriginConnection& c) { c.send(std::exchange(c.received, {})); });
  online({service("ssh", TunnelKind::tcp, echo.address())});
  Visit& large = relay.open(std::string(limits::kOpenStreamMessage, 'a'), TunnelKind::tcp);
  ASSERT_TRUE(until([&] { return large.over(); }));
  EXPECT_TRUE(large.was_reset());
  EXPECT_FALSE(large.replied());
  Visit& other = visit_tcp().send("x");
  EXPECT_TRUE(until([&] { return other.has("x"); }));
}

TEST_F(Streams, ManyAtOnce) {
  Origin& echo = origin([](OriginConnection& c) {
    c.send(std::exchange(c.received, {}));
    if (c.ended) c.finish();
  });
  online({service("ssh", TunnelKind::tcp, echo.address())});
  constexpr int kVisits = 50;
  std::vector<std::pair<Visit*, std::string>> visits;
  for (unsigned i = 0; i < kVisits; ++i) {
    visits.emplace_back(&visit_tcp(), net::random_text(20'000 + 7'919 * i, i));
    visits.back().first->send(visits.back().second).finish();
  }
  ASSERT_TRUE(until([&] {
    return std::ranges::all_of(visits, [](const auto& visit) { return visit.first->over(); });
  }));
  for (const auto& [visit, sent] : visits) {
    EXPECT_TRUE(visit->ended());
    EXPECT_TRUE(visit->text() == sent);
  }
}

// --- services behind TLS ---

class TlsServices : public Streams {
 protected:
  Service tls_service(bool insecure) {
    Service made = service("web", TunnelKind::http, secure.address());
    made.target_tls = true;
    made.insecure = insecure;
    return made;
  }

  net::Identity identity;
  const net::TlsContext context = identity.server({net::kAlpnHttp});
  Origin& secure = origin(on_head([](OriginConnection& c, const std::string&) {
                            c.send("HTTP/1.1 204 No Content\r\n\r\n");
                          }),
                          &context);
};

TEST_F(TlsServices, AreServedWithoutVerificationWhereTheConfigurationSaysSo) {
  online({tls_service(true)});
  Visit& got = visit("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_EQ(got.text(), "HTTP/1.1 204 No Content\r\n\r\n");
  // … over a connection that is used again.
  Visit& again = visit("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(until([&] { return again.over(); }));
  EXPECT_EQ(secure.connections.size(), 1u);
}

TEST_F(TlsServices, AreUnreachableWithACertificateNobodyVouchesFor) {
  online({tls_service(false)});
  Visit& got = visit("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_EQ(got.failure(), "LEAT_SERVICE_UNREACHABLE");
}

}  // namespace
}  // namespace leat::agent
