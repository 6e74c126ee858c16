// Plans through the relay: what visitors, agents and their owners see of a limit.
#include <gtest/gtest.h>

#include "relay/world.h"

namespace leat::relay {
namespace {

using namespace std::chrono_literals;

class Quota : public World {
 protected:
  void configure(Options& options) override { options.plans = {{plan}, plan.name}; }
  // Restarts the relay with that plan.
  void limit(Plan limits) {
    limits.name = "p";
    relay->set_plans({{std::move(limits)}, "p"});
  }
  Plan plan{.name = "p"};
};

TEST_F(Quota, RequestsPerMinute) {
  limit({.requests_per_minute = 3});
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  for (int i = 0; i < 3; ++i) {
    const auto visitor_ = visitor();
    visitor_->get("/tunnel/web/");
    ASSERT_TRUE(until([&] { return visitor_->has("hello") || visitor_->over(); }));
    EXPECT_TRUE(visitor_->has("RateLimit-Policy: \"requests\";q=3;w=60\r\n")) << visitor_->text();
    EXPECT_TRUE(visitor_->has("RateLimit: \"requests\";r=" + std::to_string(2 - i) + ";t="));
  }
  const auto late = visitor();
  late->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return late->has("LEAT_QUOTA_REQUESTS") || late->over(); }));
  EXPECT_TRUE(late->has("HTTP/1.1 429 ")) << late->text();
  EXPECT_TRUE(late->has("Retry-After: "));
  EXPECT_TRUE(late->has("RateLimit: \"requests\";r=0;t="));
  EXPECT_EQ(agent->streams.size(), 3u);
}

TEST_F(Quota, BytesOfADayToTheByte) {
  limit({.bytes_per_day = 200'000});
  const auto agent = online({tcp()});
  agent->on_served = [](Served& served) {
    if (served.unsent() == 0) served.reply().send(std::string(1'000'000, 'x'));
  };
  const auto reader = tcp_visitor(agent->bound().at(0).remote_port);
  reader->send("go");
  ASSERT_TRUE(until([&] { return reader->over(); }));
  EXPECT_TRUE(reader->failed()) << "cut, not ended";
  EXPECT_LE(reader->text().size(), 200'000u - 2);
  // The agent is told, and others are refused until tomorrow.
  ASSERT_TRUE(until([&] { return agent->noticed.has_value(); }, 5s));
  EXPECT_EQ(agent->noticed->code, Code::QUOTA_DAY);
  const auto usage = store::Store::open(dir / "leat.db").value()->usages("first").value();
  ASSERT_EQ(usage.size(), 2u) << "a day and a month";
  EXPECT_EQ(usage[0].usage.bytes_in + usage[0].usage.bytes_out, 200'000u);
  const auto late = tcp_visitor(agent->bound().at(0).remote_port);
  ASSERT_TRUE(until([&] { return late->over(); }));
}

TEST_F(Quota, HoldsForSealedVisitorsToo) {
  limit({.streams = 1, .bytes_per_day = 200'000});
  const auto agent = online({control::TunnelRequest{"den", control::TunnelKind::sealed, false, 0}});
  const auto enter = [](Visitor& guest) {
    guest.get("/sealed/den",
              "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              "Sec-WebSocket-Protocol: leat-sealed.1\r\n");
  };
  const auto guest = visitor();
  enter(*guest);
  ASSERT_TRUE(until([&] { return !agent->streams.empty() && agent->streams[0]->opened(); }));
  const auto second = visitor();
  enter(*second);
  ASSERT_TRUE(until([&] { return second->has("LEAT_QUOTA_STREAMS") || second->over(); }));
  EXPECT_TRUE(second->has("HTTP/1.1 429 ")) << second->text();

  agent->streams[0]->reply().send(std::string(1'000'000, 'x'));
  ASSERT_TRUE(until([&] { return guest->over(); }));
  EXPECT_LT(guest->text().size(), 201'000u);
  EXPECT_GT(guest->text().size(), 100'000u);
  const auto late = visitor();
  enter(*late);
  ASSERT_TRUE(until([&] { return late->has("LEAT_QUOTA_DAY") || late->over(); }));
  EXPECT_TRUE(late->has("HTTP/1.1 429 ")) << late->text();
}

TEST_F(Quota, AnAnswerThatRunsIsCutAndTheNextRefused) {
  limit({.bytes_per_day = 100'000});
  const auto agent = online({http()});
  answer_all(*agent,
             "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + std::string(300'000, 'x'));
  const auto reader = visitor();
  reader->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return reader->over(); }));
  EXPECT_TRUE(reader->failed());
  EXPECT_GT(reader->text().size(), 90'000u);
  EXPECT_LT(reader->text().size(), 100'000u + 1000u) << "fields of the relay's own are not counted";
  const auto late = visitor();
  late->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return late->has("LEAT_QUOTA_DAY") || late->over(); }));
  EXPECT_TRUE(late->has("HTTP/1.1 429 "));
}

TEST_F(Quota, StreamsAtOnce) {
  limit({.streams = 1});
  const auto agent = online({http()});
  const auto first = visitor();
  first->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return agent->streams.size() == 1; }));
  const auto second = visitor();
  second->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return second->has("LEAT_QUOTA_STREAMS") || second->over(); }));
  agent->streams.front()->answer(kHello);
  ASSERT_TRUE(until([&] { return first->has("hello"); }));
  answer_all(*agent, kHello);
  expect_served();
}

TEST_F(Quota, TunnelsOfAllAgentsOfAnOwner) {
  limit({.tunnels = 2});
  auto agent = online({http("a"), http("b"), http("c")});
  EXPECT_EQ(agent->bound().size(), 2u);
  EXPECT_EQ(agent->refused().at(2).code, Code::QUOTA_TUNNELS);
  const auto other = other_agent("other", {http("a"), http("d")});
  ASSERT_TRUE(until([&] { return other->settled(); }));
  EXPECT_EQ(other->bound().count(0), 1u) << "another agent of the same tunnel";
  EXPECT_EQ(other->refused().at(1).code, Code::QUOTA_TUNNELS);
  limit({.tunnels = 0});
  const auto none = other_agent("none", {http("a")});
  ASSERT_TRUE(until([&] { return none->settled(); }));
  EXPECT_EQ(none->refused().at(0).code, Code::QUOTA_TUNNELS);
}

TEST_F(Quota, BodiesThatAreTooLarge) {
  limit({.body = 1000});
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  const auto said = visitor();
  said->send("POST /tunnel/web/ HTTP/1.1\r\nHost: relay.test\r\nContent-Length: 1001\r\n\r\n");
  ASSERT_TRUE(until([&] { return said->has("LEAT_QUOTA_BODY") || said->over(); }));
  EXPECT_TRUE(said->has("HTTP/1.1 413 ")) << said->text();
  EXPECT_TRUE(agent->streams.empty());
  agent->on_served = [](Served&) {};
  const auto unsaid = visitor();
  unsaid->send(
      "POST /tunnel/web/ HTTP/1.1\r\nHost: relay.test\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 3; ++i) unsaid->send("200\r\n" + std::string(512, 'x') + "\r\n");
  ASSERT_TRUE(until([&] { return unsaid->has("LEAT_QUOTA_BODY") || unsaid->over(); }));
  EXPECT_TRUE(unsaid->has("HTTP/1.1 413 ")) << unsaid->text();
  const auto good = visitor();
  answer_all(*agent, kHello);
  good->send("POST /tunnel/web/ HTTP/1.1\r\nHost: relay.test\r\nContent-Length: 1000\r\n\r\n" +
             std::string(1000, 'x'));
  ASSERT_TRUE(until([&] { return good->has("hello") || good->over(); }));
}

TEST_F(Quota, BytesPerSecondHoldBackAndLoseNothing) {
  limit({.bytes_per_second = 100'000});
  const auto agent = online({tcp()});
  const std::string text(130'000, 'x');
  agent->on_served = [&](Served& served) {
    if (served.unsent() == 0) served.reply().send(text);
  };
  const auto began = std::chrono::steady_clock::now();
  const auto reader = tcp_visitor(agent->bound().at(0).remote_port);
  reader->send("go");
  ASSERT_TRUE(until([&] { return reader->text().size() >= text.size(); }));
  EXPECT_GE(std::chrono::steady_clock::now() - began, 290ms) << "a second's worth at once";
  EXPECT_FALSE(reader->over());
}

}  // namespace
}  // namespace leat::relay
