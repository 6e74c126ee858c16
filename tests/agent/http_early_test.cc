// Answers the agent gives itself: preflights, and event streams that begin before the service has
// (docs/adr/0015-what-the-agent-says-itself.md).
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "agent/world.h"

namespace leat::agent {
namespace {

class Early : public World {
 protected:
  static constexpr char kGet[] =
      "GET /events HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n"
      "Accept-Encoding: gzip\r\n\r\n";

  // A service that is asked and does nothing until `answer` is called.
  void serve(std::vector<std::string> cors = {}) {
    web = &origin(on_head([this](OriginConnection& c, const std::string& head) {
      asked = head;
      service = &c;
      loop.poke();
    }));
    Service configured = http(*web);
    configured.sse_comments = std::chrono::milliseconds(5);
    configured.cors = std::move(cors);
    online({configured});
  }
  // A visitor who has been told that an answer comes, and waits.
  Visit& waiting(std::string_view request = kGet) {
    Visit& got = visit(request);
    EXPECT_TRUE(until([&] { return comments(got) >= 3; }));
    return got;
  }
  static int comments(const Visit& got) {
    int n = 0;
    for (std::size_t at = 0; (at = got.text().find(": waiting", at)) != std::string::npos; ++at)
      ++n;
    return n;
  }
  // The body without its chunks' framing, and without the comments.
  static std::string events(const Visit& got) {
    std::string_view text = got.text();
    text.remove_prefix(text.find("\r\n\r\n") + 4);
    std::string out;
    while (!text.empty()) {
      const std::size_t size =
          std::stoul(std::string(text.substr(0, text.find("\r\n"))), nullptr, 16);
      text.remove_prefix(text.find("\r\n") + 2);
      if (size == 0) break;
      if (!text.starts_with(":")) out += text.substr(0, size);
      text.remove_prefix(size + 2);
    }
    return out;
  }
  // What an event "error" says.
  static nlohmann::json error(const Visit& got) {
    const std::string text = events(got), begin = "event: error\ndata: ";
    EXPECT_TRUE(text.starts_with(begin)) << text;
    return nlohmann::json::parse(text.substr(begin.size())).at("error");
  }
  void answer(std::string_view text) { service->send(text); }

  Origin* web = nullptr;
  OriginConnection* service = nullptr;
  std::string asked;
};

TEST_F(Early, CommentsUntilTheServiceStreams) {
  serve();
  Visit& got = waiting();
  EXPECT_TRUE(got.text().starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
  EXPECT_EQ(asked.find("Accept-Encoding"), asked.npos) << asked;
  answer(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
      "9\r\ndata: 1\n\n\r\n");
  ASSERT_TRUE(until([&] { return got.has("data: 1"); }));
  const int before = comments(got);
  answer("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.ended());
  EXPECT_EQ(events(got), "data: 1\n\ndata: 2\n\n");
  EXPECT_EQ(comments(got), before) << "the service speaks for itself";
}

TEST_F(Early, OtherFramingsAreWrapped) {
  serve();
  Visit& counted = waiting();
  answer(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata: 1\n\n");
  ASSERT_TRUE(until([&] { return counted.over(); }));
  EXPECT_TRUE(counted.ended());
  EXPECT_EQ(events(counted), "data: 1\n\n");
  EXPECT_TRUE(counted.text().ends_with("0\r\n\r\n"));

  Visit& open = waiting();
  const std::string long_event = "data: " + std::string(20000, 'x') + "\n\n";
  answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + long_event);
  service->finish();
  ASSERT_TRUE(until([&] { return open.over(); }));
  EXPECT_TRUE(open.ended());
  EXPECT_EQ(events(open), long_event);
}

TEST_F(Early, AnErrorStatusBecomesAnEvent) {
  serve();
  Visit& got = waiting();
  answer(
      "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
      "Content-Length: 2\r\n\r\n{}");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.ended());
  const auto said = error(got);
  EXPECT_EQ(said["code"], "LEAT_SERVICE_ANSWER");
  EXPECT_EQ(said["status"], 429);
  EXPECT_EQ(said["content_type"], "application/json");
  EXPECT_EQ(agent->requests().last().front().status, 429);
}

TEST_F(Early, SoDoesAnotherType) {
  serve();
  Visit& got = waiting();
  answer("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_EQ(error(got)["status"], 200);
}

TEST_F(Early, SoDoesAServiceThatGoes) {
  serve();
  Visit& got = waiting();
  service->cut();
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.ended());
  EXPECT_EQ(error(got)["code"], "LEAT_SERVICE_CUT");
}

TEST_F(Early, ACutOfTheServicesStreamIsACut) {
  serve();
  Visit& got = waiting();
  answer(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\ndata: "
      "1\n\n");
  ASSERT_TRUE(until([&] { return got.has("data: 1"); }));
  service->cut();
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.was_reset());
}

TEST_F(Early, AVisitorWhoLeavesStopsTheService) {
  serve();
  Visit& got = waiting();
  got.reset();
  ASSERT_TRUE(until([&] { return service->gone(); }));
  EXPECT_TRUE(service->failed);
}

TEST_F(Early, AVisitorWhoDoesNotReadIsNotSentMore) {
  serve();
  Visit& got = visit(kGet);
  got.pause(true);
  bool later = false;
  net::Timer timer(loop.shard, [&] {
    later = true;
    loop.poke();
  });
  timer.arm_in(std::chrono::milliseconds(300));
  ASSERT_TRUE(until([&] { return later && service != nullptr; }));
  answer(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata: 1\n\n");
  got.pause(false);
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_EQ(events(got), "data: 1\n\n");
}

TEST_F(Early, WhoAsksForJsonWaits) {
  serve();
  const std::string body = R"({"stream":false})";
  Visit& got = visit("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body);
  ASSERT_TRUE(until([&] { return service != nullptr; }));
  bool later = false;
  net::Timer timer(loop.shard, [&] {
    later = true;
    loop.poke();
  });
  timer.arm_in(std::chrono::milliseconds(100));
  ASSERT_TRUE(until([&] { return later; }));
  answer("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.text().starts_with("HTTP/1.1 429 ")) << got.text();
}

TEST_F(Early, ACompletionThatStreamsIsKnownByItsBody) {
  serve();
  const std::string body = R"({"model":"m","stream":true})";
  Visit& got = waiting("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                       std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_TRUE(got.text().starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream"));
}

// --- CORS ---

TEST_F(Early, APreflightOfAnAllowedPageIsNotTheServicesAffair) {
  serve({"https://chat.test"});
  Visit& got = visit(
      "OPTIONS /v1/models HTTP/1.1\r\nHost: h\r\nOrigin: https://chat.test\r\n"
      "Access-Control-Request-Method: POST\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.text().starts_with("HTTP/1.1 204 ")) << got.text();
  EXPECT_TRUE(got.has("Access-Control-Allow-Origin: https://chat.test\r\n"));
  EXPECT_TRUE(web->connections.empty());
}

TEST_F(Early, AnAllowedPageMayReadWhatTheServiceSays) {
  serve({"https://chat.test"});
  Visit& got = visit("GET / HTTP/1.1\r\nHost: app.relay.test\r\nOrigin: https://chat.test\r\n\r\n");
  ASSERT_TRUE(until([&] { return service != nullptr; }));
  EXPECT_NE(asked.find("Origin: http://" + web->address().text() + "\r\n"), asked.npos) << asked;
  answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.has("Access-Control-Allow-Origin: https://chat.test\r\n")) << got.text();
}

TEST_F(Early, AnyOtherPageIsLeftToTheService) {
  serve({"https://chat.test"});
  Visit& got = visit(
      "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://evil.test\r\n"
      "Access-Control-Request-Method: POST\r\n\r\n");
  ASSERT_TRUE(until([&] { return service != nullptr; }));
  EXPECT_NE(asked.find("Origin: https://evil.test\r\n"), asked.npos);
  answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_FALSE(got.has("Access-Control")) << got.text();
}

}  // namespace
}  // namespace leat::agent
