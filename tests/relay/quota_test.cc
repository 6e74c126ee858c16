// Plans through the relay: what visitors, agents and their owners see of a limit.
#include <gtest/gtest.h>

#include "http/websocket.h"
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
  // Where there is room for it behind what was sent.
  EXPECT_TRUE(guest->has("\x03\xf0LEAT_QUOTA_DAY, resets in ")) << "a close frame with 1008";
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

TEST_F(Quota, ItIsSaidWhenTheDayAndTheMonthEnd) {
  limit({.bytes_per_day = 1'000'000});
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  expect_served();
  using namespace std::chrono;
  const auto left = [](const char* code) {
    const auto now = system_clock::now();
    const year_month_day today = floor<days>(now);
    const bool day = code == std::string_view("LEAT_QUOTA_DAY");
    const sys_days end =
        day ? sys_days(today) + days(1) : sys_days(today.year() / today.month() / 1 + months(1));
    return ceil<seconds>(end - now).count();
  };
  const auto refused = [&](Plan limits, const char* code) {
    limit(std::move(limits));
    const auto before = left(code);
    const auto late = visitor();
    late->get("/tunnel/web/");
    ASSERT_TRUE(until([&] { return late->has(code) || late->over(); })) << late->text();
    const std::size_t field = late->text().find("Retry-After: ");
    ASSERT_NE(field, std::string::npos) << late->text();
    const auto said = std::stoll(late->text().substr(field + 13));
    EXPECT_LE(said, before) << code;
    EXPECT_GE(said, left(code)) << code;
  };
  refused({.bytes_per_day = 1}, "LEAT_QUOTA_DAY");
  refused({.bytes_per_month = 1}, "LEAT_QUOTA_MONTH");
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

// A name stays with whoever was first to get it, so that one who may have no tunnel gets none.
TEST_F(Quota, WhatIsRefusedIsNobodysAfterwards) {
  limit({.tunnels = 0});
  const auto nobody =
      online({http("brand"), {"", control::TunnelKind::http, false, 0}, tcp("raw")});
  EXPECT_EQ(nobody->refused().size(), 3u);
  for (const auto& [index, error] : nobody->refused()) EXPECT_EQ(error.code, Code::QUOTA_TUNNELS);
  limit({.tunnels = 2});
  control::TunnelRequest unruly = http("unruly");
  unruly.visitors.allow = {"10.0.0.1/8"};
  control::TunnelRequest guarded = tcp("guarded");
  guarded.visitors.tokens = {{"a", {}}};
  const auto some = other_agent(
      "other", {http("a"), unruly, guarded, tcp("far", static_cast<std::uint16_t>(ports.high + 1)),
                http("b"), http("c")});
  ASSERT_TRUE(until([&] { return some->settled(); }));
  ASSERT_EQ(some->bound().size(), 2u) << "those that are refused take no place";
  EXPECT_EQ(some->refused().at(1).code, Code::BAD_POLICY);
  EXPECT_EQ(some->refused().at(2).code, Code::BAD_POLICY);
  EXPECT_EQ(some->refused().at(3).code, Code::PORT_REFUSED);
  EXPECT_EQ(some->refused().at(5).code, Code::QUOTA_TUNNELS) << "counted with its batch";
  const auto store = store::Store::open(dir / "leat.db").value();
  for (const char* name : {"brand", "raw", "unruly", "guarded", "far", "c"}) {
    EXPECT_FALSE(store->is_owned(name).value()) << name;
  }
  EXPECT_TRUE(store->is_owned("a").value());
}

// What is refused is nobody's: names are not taken by who may have none (threat 31).
TEST_F(Quota, ARefusedTunnelLeavesNoName) {
  const auto store = store::Store::open(dir / "leat.db").value();
  limit({.tunnels = 1});
  auto agent = online({http("a"), http("b"), {"", control::TunnelKind::http, false, 0}});
  EXPECT_EQ(agent->bound().size(), 1u);
  EXPECT_EQ(agent->refused().at(1).code, Code::QUOTA_TUNNELS);
  EXPECT_TRUE(store->is_owned("a").value());
  EXPECT_FALSE(store->is_owned("b").value());
  limit({.tunnels = 0});
  const auto none = other_agent("none", {http("c")});
  ASSERT_TRUE(until([&] { return none->settled(); }));
  EXPECT_FALSE(store->is_owned("c").value());
  limit({});
  control::TunnelRequest asks = tcp("d");
  asks.visitors.tokens = {{"ann", {}}};
  const auto wrong = other_agent("wrong", {asks});
  ASSERT_TRUE(until([&] { return wrong->settled(); }));
  EXPECT_EQ(wrong->refused().at(0).code, Code::BAD_POLICY);
  EXPECT_FALSE(store->is_owned("d").value());
}

TEST_F(Quota, APortOfAnotherProgramLeavesNoName) {
  const auto store = store::Store::open(dir / "leat.db").value();
  const auto other = net::Listener::open(loop.shard, {"127.0.0.1", ports.low}, [](net::Fd) {});
  ASSERT_TRUE(other) << other.error().text();
  const auto agent = online({tcp("taken", ports.low), tcp("free")});
  EXPECT_EQ(agent->refused().at(0).code, Code::PORT_TAKEN);
  EXPECT_FALSE(store->is_owned("taken").value());
  EXPECT_EQ(agent->bound().count(1), 1u);
  EXPECT_TRUE(store->is_owned("free").value());
}

TEST_F(Quota, RoomsOfBareAgentsAreTunnelsToo) {
  limit({.tunnels = 2});
  const auto agent = online({http("a")});
  const auto bare = [&](const std::string& room) {
    auto made = visitor();
    made->get("/agent?room=" + room,
              "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer " +
                  std::string(token.reveal()) + "\r\n");
    EXPECT_TRUE(until([&] { return made->has("\r\n\r\n"); }));
    return made;
  };
  const auto first = bare("den"), again = bare("den"), second = bare("attic");
  EXPECT_TRUE(first->has("HTTP/1.1 101 ")) << first->text();
  EXPECT_TRUE(again->has("HTTP/1.1 101 ")) << "another agent of the same room";
  EXPECT_TRUE(second->has("HTTP/1.1 403 ")) << second->text();
  ASSERT_TRUE(until([&] { return second->has("LEAT_QUOTA_TUNNELS"); }));
  const auto other = other_agent("other", {http("b")});
  ASSERT_TRUE(until([&] { return other->settled(); }));
  EXPECT_EQ(other->refused().at(0).code, Code::QUOTA_TUNNELS);
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

// --- WebSockets ---

class OpenRooms : public Quota {
 protected:
  void configure(Options& options) override {
    Quota::configure(options);
    options.open_rooms = true;
  }
};

TEST_F(OpenRooms, HaveTheDefaultPlan) {
  const auto bare = [&](const std::string& room) {
    auto made = visitor();
    made->get("/agent?room=" + room,
              "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    EXPECT_TRUE(until([&] { return made->has("\r\n\r\n"); }));
    return made;
  };
  limit({.tunnels = 1, .requests_per_minute = 1});
  const auto one = bare("one");
  EXPECT_TRUE(one->has("HTTP/1.1 101 ")) << one->text();
  EXPECT_FALSE(bare("two")->has("HTTP/1.1 101 "));
  const auto visit = [&] {
    auto made = visitor();
    made->get("/client?room=one",
              "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    return made;
  };
  const std::size_t before = one->text().size();
  const auto first = visit();
  ASSERT_TRUE(until([&] { return one->text().size() > before; })) << "a stream for the agent";
  const auto second = visit();
  ASSERT_TRUE(until([&] { return second->has("LEAT_QUOTA_REQUESTS") || second->over(); }));
  EXPECT_TRUE(second->has("HTTP/1.1 429 ")) << second->text();
}

class MessageQuota : public Quota {
 protected:
  static std::string frame(std::size_t size, bool fin = true,
                           http::ws::Opcode opcode = http::ws::Opcode::binary) {
    std::string out;
    http::ws::append_frame(out, opcode, as_bytes(std::string(size, 'm')), nullptr, fin);
    return out;
  }
  static std::string close(std::uint16_t code, std::string_view reason) {
    std::string out;
    http::ws::append_close(out, code, reason, nullptr);
    return out;
  }
  // A WebSocket through `agent`'s tunnel, which the service has accepted. What is behind the head
  // stays in text().
  std::unique_ptr<Visitor> open(FakeAgent& agent, const std::string& target,
                                const std::string& protocols = "websocket") {
    const std::size_t before = agent.streams.size();
    auto guest = visitor();
    guest->get(target, "Connection: upgrade\r\nUpgrade: " + protocols +
                           "\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    EXPECT_TRUE(until(
        [&] { return agent.streams.size() > before && agent.streams.back()->has("\r\n\r\n"); }));
    agent.streams.back()->reply().send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    EXPECT_TRUE(until([&] { return guest->has("\r\n\r\n"); })) << guest->text();
    return guest;
  }
  // Of a visitor's messages, where that is the limit, and the end of it on both sides.
  void expect_three(std::vector<control::TunnelRequest> tunnels, const std::string& target) {
    const auto agent = online(std::move(tunnels));
    const auto guest = open(*agent, target);
    Served& served = *agent->streams.back();
    // A message of two frames and a ping between them is one; pings are none.
    const std::string good = frame(10) + frame(5, false) + frame(0, true, http::ws::Opcode::ping) +
                             frame(5, true, http::ws::Opcode::continuation) + frame(70'000);
    guest->send(good);
    ASSERT_TRUE(until([&] { return behind_head(served).size() == good.size(); }));
    EXPECT_EQ(behind_head(served), good);
    EXPECT_FALSE(guest->over());
    guest->send(frame(20) + frame(30));
    ASSERT_TRUE(until([&] { return guest->has("LEAT_QUOTA_MESSAGES, resets in "); }));
    EXPECT_EQ(guest->body().substr(2, 2), "\x03\xf0") << "1008";
    ASSERT_TRUE(until([&] { return served.ended(); })) << "the service gets an end, not a reset";
    const std::string seen = behind_head(served).substr(good.size());
    EXPECT_EQ(static_cast<std::uint8_t>(seen.at(0)), 0x88) << "a close frame";
    EXPECT_TRUE(seen.at(1) & 0x80) << "masked";
    served.finish();
    ASSERT_TRUE(until([&] { return guest->over(); }));
    EXPECT_TRUE(guest->ended());
    ASSERT_TRUE(until([&] { return agent->noticed.has_value(); }));
    EXPECT_EQ(agent->noticed->code, Code::QUOTA_MESSAGES);
  }
  // What came to the service behind the head; a masked close frame is told by its first byte.
  static std::string behind_head(const Served& served) {
    return served.text().substr(served.text().find("\r\n\r\n") + 4);
  }
};

TEST_F(MessageQuota, FromTheVisitorsSide) {
  limit({.visitor_messages_per_minute = 3});
  expect_three({http()}, "/tunnel/web/");
}

TEST_F(MessageQuota, HoweverTheUpgradeWasAskedFor) {
  limit({.message = 300});
  const auto agent = online({http()});
  for (const char* protocols : {"websocket, x", "x, WebSocket"}) {
    const auto guest = open(*agent, "/tunnel/web/", protocols);
    guest->send(frame(400));
    EXPECT_TRUE(until([&] { return guest->has("LEAT_QUOTA_MESSAGE_SIZE"); }, 5s)) << protocols;
  }
}

TEST_F(MessageQuota, FromTheVisitorsSideOfARoom) {
  limit({.visitor_messages_per_minute = 3});
  expect_three({control::TunnelRequest{"den", control::TunnelKind::ws, false, 0}},
               "/client?room=den");
}

TEST_F(MessageQuota, FromTheAgentsSideAndByteByByte) {
  limit({.agent_messages_per_minute = 2, .message = 300});
  const auto agent = online({http()});
  const auto guest = open(*agent, "/tunnel/web/");
  Served& served = *agent->streams.back();
  const std::string good = frame(200) + frame(130, false);
  for (const char c : good + frame(200, true, http::ws::Opcode::continuation) + "never seen") {
    served.send({&c, 1});
    pass(100us);  // so that the relay gets each by itself
  }
  ASSERT_TRUE(until([&] { return guest->has("LEAT_QUOTA_MESSAGE_SIZE"); }));
  EXPECT_EQ(guest->body(), good + close(http::ws::kTooBig, "LEAT_QUOTA_MESSAGE_SIZE"));
  served.finish();
  ASSERT_TRUE(until([&] { return guest->over(); }));
}

TEST_F(MessageQuota, FramesUnderWayAreFinishedAndNoMoreFollows) {
  limit({.visitor_messages_per_minute = 1});
  const auto agent = online({http()});
  const auto guest = open(*agent, "/tunnel/web/");
  Served& served = *agent->streams.back();
  const std::string answer = frame(1000);
  served.send(std::string_view(answer).substr(0, 500));
  ASSERT_TRUE(until([&] { return guest->body().size() == 500; }));
  guest->send(frame(1) + frame(1));
  ASSERT_TRUE(until([&] { return served.ended(); }));
  EXPECT_FALSE(guest->has("LEAT_"));
  served.send(std::string_view(answer).substr(500)).send(frame(10));
  ASSERT_TRUE(until([&] { return guest->has("LEAT_QUOTA_MESSAGES"); }));
  EXPECT_EQ(guest->body().substr(0, answer.size()), answer);
  EXPECT_EQ(static_cast<std::uint8_t>(guest->body().at(answer.size())), 0x88);
}

TEST_F(MessageQuota, AServiceThatDoesNotEndIsLeft) {
  limit({.visitor_messages_per_minute = 1});
  const auto agent = online({http()});
  const auto guest = open(*agent, "/tunnel/web/");
  guest->send(frame(1) + frame(1));
  ASSERT_TRUE(until([&] { return guest->ended(); }));
  ASSERT_TRUE(until([&] { return agent->streams.back()->was_reset(); }));
}

// A close frame fits between two frames only: who is in the middle of one is cut.
TEST_F(MessageQuota, BytesOfTheDayAreSaidToAWebSocketToo) {
  limit({.bytes_per_day = 1'000'000});
  const auto agent = online({http()});
  const auto database = store::Store::open(dir / "leat.db").value();
  std::uint64_t before = 0;
  for (const std::uint64_t left : {500u, 550u}) {
    limit({.bytes_per_day = 1'000'000});
    const auto guest = open(*agent, "/tunnel/web/");
    store::Usage used;
    // The head of the service's answer is more than what comes before it.
    for (int i = 0; i < 100 && used.bytes_out <= before + 100; ++i) {
      pass(100ms);
      const auto rows = database->usages("first").value();
      if (!rows.empty()) used = rows.front().usage;
    }
    limit({.bytes_per_day = used.bytes_in + used.bytes_out + left});
    std::string all;
    for (int i = 0; i < 6; ++i) all += frame(98);
    agent->streams.back()->send(all);
    ASSERT_TRUE(until([&] { return guest->over() || guest->body().size() > left; })) << left;
    if (left % 100 == 0) {
      EXPECT_EQ(guest->body().substr(0, left), all.substr(0, left));
      EXPECT_TRUE(until([&] { return guest->has("LEAT_QUOTA_DAY, resets in "); })) << guest->text();
      EXPECT_EQ(guest->body().substr(left + 2, 2), "\x03\xf0") << "1008";
    } else {
      EXPECT_EQ(guest->body(), all.substr(0, left));
      EXPECT_TRUE(guest->failed());
    }
    before = used.bytes_out + left;
  }
}

TEST_F(MessageQuota, TeamHasNoLimit) {
  limit({});
  const auto agent = online({http()});
  const auto guest = open(*agent, "/tunnel/web/");
  std::string all;
  for (int i = 0; i < 500; ++i) all += frame(1);
  guest->send(all);
  ASSERT_TRUE(until([&] { return behind_head(*agent->streams.back()).size() == all.size(); }));
  EXPECT_EQ(behind_head(*agent->streams.back()), all);
}

}  // namespace
}  // namespace leat::relay
