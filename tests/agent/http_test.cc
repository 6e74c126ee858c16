// Exchanges of an http tunnel with a service that is well, slow, or broken
// (docs/adr/0003-http-streams.md).
#include <cstdio>
#include <set>
#include <string>
#include <utility>

#include "agent/world.h"
#include "base/limits.h"

namespace leat::agent {
namespace {

constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: app.relay.test\r\n\r\n";
constexpr char kPost[] = "POST / HTTP/1.1\r\nHost: app.relay.test\r\nContent-Length: 4\r\n\r\nbody";
constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

std::string chunked(std::string_view body, std::size_t piece) {
  std::string out;
  for (std::size_t at = 0; at < body.size(); at += piece) {
    const std::string_view part = body.substr(at, piece);
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    out.append(size).append(part).append("\r\n");
  }
  return out + "0\r\n\r\n";
}

class Http : public World {
 protected:
  Origin& serve(Origin::Handler handler) {
    Origin& made = origin(std::move(handler));
    online({http(made)});
    return made;
  }
  // Answers every head with the same text.
  Origin& serve_text(std::string text) {
    return serve(on_head([text](OriginConnection& c, const std::string&) { c.send(text); }));
  }
  // What a visitor gets who asks for `request`.
  Visit& get(std::string_view request = kGet) {
    Visit& got = visit(request);
    EXPECT_TRUE(until([&] { return got.over(); }));
    return got;
  }
  static bool is_error(const Visit& visit, std::string_view status, std::string_view code) {
    return visit.ended() && visit.failure().empty() &&
           visit.text().starts_with("HTTP/1.1 " + std::string(status) + " ") && visit.has(code);
  }
};

TEST_F(Http, TheServiceSeesItsOwnNameAndTheVisitorAnUntouchedBody) {
  std::string asked;
  Origin& web = serve(on_head([&](OriginConnection& c, const std::string& head) {
    asked = head;
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
  }));
  Visit& got =
      get("GET /a?b HTTP/1.1\r\nHost: app.relay.test\r\nOrigin: https://app.relay.test\r\n\r\n");
  EXPECT_EQ(got.text(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  const std::string own = web.address().text();
  EXPECT_EQ(asked, "GET /a?b HTTP/1.1\r\nOrigin: http://" + own + "\r\nHost: " + own + "\r\n\r\n");
  EXPECT_TRUE(idle());
}

// --- bodies ---

TEST_F(Http, ALargeRequestWaitsForASlowService) {
  const std::string body = net::random_text(3'000'000, 1);
  std::string head, received;
  Origin& web = origin([&](OriginConnection& c) {
    received += std::exchange(c.received, {});
    if (received.size() > body.size() && c.received.empty()) {
      head = received.substr(0, received.find("\r\n\r\n") + 4);
      if (received.size() == head.size() + body.size()) c.send(kOk);
    }
  });
  web.pause_new = true;
  online({http(web)});
  Visit& got = visit("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n" + body);
  ASSERT_TRUE(until([&] { return !web.connections.empty(); }));
  web.connections.front()->resume();
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_EQ(got.text(), kOk);
  EXPECT_TRUE(received.substr(head.size()) == body);
}

TEST_F(Http, ChunkedBodiesPassAsTheyCame) {
  const std::string sent = chunked(net::random_text(500'000, 2), 9'999);
  const std::string answer = chunked(net::random_text(700'000, 3), 50'001);
  std::string received;
  serve([&](OriginConnection& c) {
    received += std::exchange(c.received, {});
    if (!received.ends_with("\r\n0\r\n\r\n")) return;
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + answer);
  });
  Visit& got = get("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + sent);
  EXPECT_TRUE(received.ends_with("\r\n\r\n" + sent));
  EXPECT_TRUE(got.text() == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + answer);
  EXPECT_TRUE(got.ended());
}

TEST_F(Http, AVisitorWhoDoesNotReadStopsTheService) {
  const std::string body = net::random_text(8'000'000, 4);
  serve_text("HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + body);
  Visit& slow = visit(kGet);
  slow.pause(true);
  Visit& quick = visit("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(until([&] { return quick.over(); }));
  EXPECT_LE(relay.session().driver().mux().stats().buffered, limits::kMaxWindow);
  slow.pause(false);
  ASSERT_TRUE(until([&] { return slow.over(); }));
  EXPECT_TRUE(slow.ended());
  EXPECT_TRUE(slow.text().ends_with(body));
}

TEST_F(Http, ABodyWithoutLengthEndsWithTheConnection) {
  serve(on_head([](OriginConnection& c, const std::string&) {
    c.send("HTTP/1.0 200 OK\r\n\r\nall of it");
    c.finish();
  }));
  Visit& got = get();
  EXPECT_EQ(got.text(), "HTTP/1.1 200 OK\r\n\r\nall of it");
  EXPECT_TRUE(got.ended());
}

TEST_F(Http, ResponsesWithoutABodyNeedNone) {
  Origin& web = serve_text("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  Visit& head = get("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(head.text(), "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  web.handler = on_head([](OriginConnection& c, const std::string&) {
    c.send("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n");
  });
  EXPECT_EQ(get().text(), "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n");
  EXPECT_EQ(web.connections.size(), 1u);
}

// --- interim responses and upgrades ---

TEST_F(Http, InterimResponsesAreForwardedInOrder) {
  const std::string all =
      "HTTP/1.1 100 Continue\r\n\r\n"
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" +
      std::string(kOk);
  serve_text(all);
  EXPECT_EQ(get().text(), all);
}

TEST_F(Http, ContinueComesBeforeTheBodyIsSent) {
  serve([](OriginConnection& c) {
    if (c.received.ends_with("\r\n\r\n")) c.send("HTTP/1.1 100 Continue\r\n\r\n");
    if (c.received.ends_with("body")) c.send(kOk);
  });
  Visit& got = relay.open("web", control::TunnelKind::http)
                   .send(
                       "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"
                       "Expect: 100-continue\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.has("100 Continue"); }));
  got.send("body").finish();
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.text().ends_with(kOk));
}

TEST_F(Http, AFloodOfInterimResponsesIsStopped) {
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += "HTTP/1.1 103 Early Hints\r\n\r\n";
  Origin& web = serve_text(flood + kOk);
  Visit& got = get();
  EXPECT_TRUE(got.ended());
  EXPECT_TRUE(got.has("HTTP/1.1 502 ") && got.has("LEAT_SERVICE_PROTOCOL")) << got.text();
  EXPECT_LT(got.text().size(), 3'000u);
  EXPECT_TRUE(until([&] { return web.connections.front()->failed; }));
}

constexpr char kUpgrade[] =
    "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
constexpr char kSwitch[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

TEST_F(Http, AnUpgradeBecomesAPipeWithHalfClose) {
  std::string head;
  serve([&](OriginConnection& c) {
    if (head.empty()) {
      if (!c.received.ends_with("\r\n\r\n")) return;
      head = std::exchange(c.received, {});
      c.send(std::string(kSwitch) + "first");
      return;
    }
    c.send(std::exchange(c.received, {}));
    if (c.ended) c.finish();
  });
  // Bytes behind the request wait in the stream until the service has agreed.
  Visit& got = relay.open("web", control::TunnelKind::http).send(kUpgrade).send(" early");
  ASSERT_TRUE(until([&] { return got.has("first early"); }));
  EXPECT_EQ(head.find("early"), std::string::npos);
  EXPECT_NE(head.find("Upgrade: websocket\r\nConnection: Upgrade\r\n"), std::string::npos) << head;
  got.send(" later").finish();
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_EQ(got.text(), std::string(kSwitch) + "first early later");
  EXPECT_TRUE(got.ended());
  EXPECT_TRUE(idle());
}

TEST_F(Http, APipeThatIsCutIsReset) {
  Origin& web = serve_text(kSwitch);
  Visit& got = relay.open("web", control::TunnelKind::http).send(kUpgrade);
  ASSERT_TRUE(until([&] { return got.text() == kSwitch; }));
  web.connections.front()->cut();
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.was_reset());
}

// A service that has ended its direction, and one that nobody reads from, are not met by reading.
TEST_F(Http, APipeWhoseServiceVanishesIsReset) {
  serve([&](OriginConnection& c) {
    if (!c.received.ends_with("\r\n\r\n")) return;
    const bool talks = c.received.find("/talks") != std::string::npos;
    c.received.clear();
    c.send(kSwitch);
    if (talks) {
      c.send(std::string(8 << 20, 'x'));
    } else {
      c.finish();
    }
  });
  Visit& silent = relay.open("web", control::TunnelKind::http).send(kUpgrade);
  ASSERT_TRUE(until([&] { return silent.ended(); }));
  Visit& unread = relay.open("web", control::TunnelKind::http);
  unread.send("GET /talks" + std::string(kUpgrade).substr(7));
  ASSERT_TRUE(until([&] { return unread.has("xxx"); }));
  unread.pause(true);
  ASSERT_EQ(origins.back()->connections.size(), 2u);
  for (const auto& connection : origins.back()->connections) connection->cut();
  ASSERT_TRUE(until([&] { return silent.was_reset() && unread.was_reset(); }));
  EXPECT_TRUE(idle());
}

TEST_F(Http, AnUpgradeMayBeDeclined) {
  Origin& web = serve_text(kOk);
  EXPECT_EQ(get(kUpgrade).text(), kOk);
  EXPECT_EQ(get().text(), kOk);
  EXPECT_EQ(web.connections.size(), 1u) << "an answer like any other";
}

TEST_F(Http, ASwitchNobodyAskedForIsBrokenHttp) {
  serve_text(kSwitch);
  Visit& got = get();
  EXPECT_TRUE(is_error(got, "502", "LEAT_SERVICE_PROTOCOL")) << got.text();
}

// --- services that break ---

TEST_F(Http, ABodyCutShortIsAResetNeverAnEnd) {
  for (const char* head : {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n"}) {
    Origin& web = origin(on_head([head](OriginConnection& c, const std::string&) {
      c.send(head + std::string(10, 'x'));
      c.finish();
    }));
    agent.reset();
    online({http(web)});
    Visit& got = get();
    EXPECT_TRUE(got.was_reset()) << head;
    EXPECT_FALSE(got.ended());
  }
}

TEST_F(Http, ABodyWithoutLengthThatIsCutIsReset) {
  Origin& web = serve_text("HTTP/1.1 200 OK\r\n\r\nhalf");
  Visit& got = visit(kGet);
  ASSERT_TRUE(until([&] { return got.has("half"); }));
  web.connections.front()->cut();
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.was_reset());
}

TEST_F(Http, BrokenFramingOfAResponseIsReset) {
  serve_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n");
  EXPECT_TRUE(get().was_reset());
}

TEST_F(Http, NoHttpIs502) {
  serve_text("SSH-2.0-OpenSSH\r\n\r\n");
  Visit& got = get();
  EXPECT_TRUE(is_error(got, "502", "LEAT_SERVICE_PROTOCOL")) << got.text();
  Visit& head = get("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(head.text().starts_with("HTTP/1.1 502 ") && head.text().ends_with("\r\n\r\n"));
}

TEST_F(Http, NoAnswerIs502) {
  serve(on_head([](OriginConnection& c, const std::string&) { c.finish(); }));
  Visit& got = get();
  EXPECT_TRUE(is_error(got, "502", "LEAT_SERVICE_CUT")) << got.text();
  EXPECT_TRUE(is_error(get(kPost), "502", "LEAT_SERVICE_CUT"));
  EXPECT_TRUE(idle());
}

TEST_F(Http, AnEarlyAnswerIsDeliveredAndTheRestOfTheRequestDropped) {
  Origin& web = serve(on_head([](OriginConnection& c, const std::string&) {
    c.paused = true;
    c.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
  }));
  const std::string body(4'000'000, 'x');
  Visit& got = visit("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n" + body);
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_EQ(got.text(), "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(got.ended());
  web.connections.front()->resume();
  ASSERT_TRUE(until([&] { return web.connections.front()->gone(); }));
  EXPECT_TRUE(web.connections.front()->failed);
  EXPECT_TRUE(idle());
}

// --- relays and visitors that break ---

TEST_F(Http, ABrokenRequestIsReset) {
  Origin& web = serve_text(kOk);
  EXPECT_TRUE(get("GET / HTTP/1.1\nHost: h\n\n").was_reset());
  EXPECT_TRUE(get("GET / HTTP/1.1\r\nHo").was_reset()) << "ends in the head";
  EXPECT_TRUE(web.connections.empty());
}

TEST_F(Http, ARequestThatEndsEarlyIsCutAtTheService) {
  Origin& web = serve([](OriginConnection&) {});
  Visit& got = relay.open("web", control::TunnelKind::http)
                   .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf");
  ASSERT_TRUE(until([&] {
    return !web.connections.empty() && web.connections.front()->received.ends_with("half");
  }));
  got.finish();
  ASSERT_TRUE(until([&] { return got.over() && web.connections.front()->gone(); }));
  EXPECT_TRUE(got.was_reset());
  EXPECT_TRUE(web.connections.front()->failed);
}

TEST_F(Http, BytesBehindARequestAreReset) {
  serve([](OriginConnection&) {});
  EXPECT_TRUE(get(std::string(kGet) + kGet).was_reset());
}

TEST_F(Http, AVisitorWhoLeavesFreesTheServiceAtOnce) {
  Origin& web = serve_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntoken\r\n");
  Visit& got = visit(kGet);
  ASSERT_TRUE(until([&] { return got.has("token"); }));
  got.reset();
  ASSERT_TRUE(until([&] { return web.connections.front()->gone(); }));
  EXPECT_TRUE(web.connections.front()->failed);
  EXPECT_TRUE(idle());
}

// --- connections used again ---

TEST_F(Http, ConnectionsAreUsedAgain) {
  Origin& web = serve_text(kOk);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get(i == 1 ? kPost : kGet).text(), kOk);
  EXPECT_EQ(web.connections.size(), 1u);
}

TEST_F(Http, AServiceThatSaysCloseGetsANewConnectionEachTime) {
  Origin& web = serve_text("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  get();
  get();
  EXPECT_EQ(web.connections.size(), 2u);
  EXPECT_TRUE(until([&] { return web.connections.front()->gone(); }));
  EXPECT_TRUE(web.connections.front()->ended);
}

// Python's http.server, for one, closes, and says nothing of it in its HTTP/1.1 answer.
TEST_F(Http, TheConnectionOfAnHttp10RequestIsNotUsedAgain) {
  Origin& web = serve_text(kOk);
  EXPECT_EQ(get("GET / HTTP/1.0\r\nHost: x\r\n\r\n").text(), kOk);
  EXPECT_EQ(get().text(), kOk);
  EXPECT_EQ(web.connections.size(), 2u);
}

TEST_F(Http, AConnectionWithBytesNobodyAskedForIsNotUsedAgain) {
  Origin& web = serve_text(std::string(kOk) + "HTTP/1.1 200 OK\r\n");
  EXPECT_EQ(get().text(), kOk);
  EXPECT_EQ(get().text(), kOk);
  EXPECT_EQ(web.connections.size(), 2u);
}

// A service that answers the first request of every connection and closes on the next.
class Stale : public Http {
 protected:
  void SetUp() override {
    web = &serve([this](OriginConnection& c) {
      if (std::exchange(c.received, {}).empty()) return;
      if (answered.insert(&c).second) return c.send(kOk);
      if (last) web->stop_listening();
      c.finish();
    });
    EXPECT_EQ(get().text(), kOk);
  }
  Origin* web = nullptr;
  std::set<OriginConnection*> answered;
  bool last = false;
};

TEST_F(Stale, AnIdempotentRequestIsTriedOnceMore) {
  EXPECT_EQ(get().text(), kOk);
  EXPECT_EQ(web->connections.size(), 2u);
}

TEST_F(Stale, ARequestThatMayHaveHadAnEffectIsNot) {
  Visit& got = get("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(is_error(got, "502", "LEAT_SERVICE_CUT")) << got.text();
  EXPECT_EQ(web->connections.size(), 1u);
}

TEST_F(Stale, ARequestWithABodyIsNot) {
  Visit& got = get("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
  EXPECT_TRUE(is_error(got, "502", "LEAT_SERVICE_CUT")) << got.text();
}

TEST_F(Stale, ASecondTryThatIsRefusedIsAnsweredByTheAgent) {
  last = true;
  Visit& got = get();
  EXPECT_TRUE(is_error(got, "502", "LEAT_SERVICE_REFUSED")) << got.text();
  EXPECT_TRUE(idle());
}

TEST_F(Stale, AConnectionTheServiceClosesWhileIdleIsLeftAlone) {
  web->connections.front()->finish();
  ASSERT_TRUE(until([&] { return web->connections.front()->gone(); }));
  Visit& got = get("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(got.text(), kOk);
}

}  // namespace
}  // namespace leat::agent
