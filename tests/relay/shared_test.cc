// Several agents of one owner that have bound one tunnel.
#include <gtest/gtest.h>

#include <set>

#include "base/limits.h"
#include "relay/world.h"
#include "support/captured.h"

namespace leat::relay {
namespace {

class Shared : public World {
 protected:
  // Each answers with its name.
  std::unique_ptr<FakeAgent> named(const std::string& name) {
    auto made = other_agent(name, {http()});
    EXPECT_TRUE(until([&] { return made->settled() || made->ended(); }));
    EXPECT_EQ(made->bound().size(), 1u);
    answer_all(*made, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(name.size()) +
                          "\r\n\r\n" + name);
    return made;
  }
  // Who answers.
  std::string ask() {
    const auto someone = visitor();
    someone->get("/tunnel/web/", "Connection: close\r\n");
    EXPECT_TRUE(until([&] { return someone->over(); }));
    return someone->body();
  }
  bool until_seen(std::function<bool()> look) {
    net::Timer again(loop.shard, [&] {
      loop.poke();
      again.arm_in(std::chrono::milliseconds(1));
    });
    again.arm_in(Duration(0));
    return until(std::move(look));
  }
};

TEST_F(Shared, AgentsAreAskedInTurn) {
  const auto a = named("a"), b = named("b"), c = named("c");
  std::map<std::string, int> answers;
  for (int i = 0; i < 12; ++i) ++answers[ask()];
  EXPECT_EQ(answers, (std::map<std::string, int>{{"a", 4}, {"b", 4}, {"c", 4}}));
}

TEST_F(Shared, ATcpTunnelHasOnePort) {
  const auto serve = [&](const std::string& name, std::vector<control::TunnelRequest> tunnels) {
    auto made = other_agent(name, std::move(tunnels));
    EXPECT_TRUE(until([&] { return made->settled(); }));
    made->on_served = [name](Served& served) {
      if (served.has("?") && served.unsent() == 0) served.answer(name);
    };
    return made;
  };
  const auto call = [&] {
    const auto someone = tcp_visitor(ports.low);
    someone->send("?");
    EXPECT_TRUE(until([&] { return someone->over(); }));
    return someone->text();
  };
  auto a = serve("a", {tcp("raw", ports.low)});
  auto b = serve("b", {tcp("raw", ports.low)});
  auto c = serve("c", {tcp("raw")});  // any port: that of the tunnel
  for (const FakeAgent* agent : {a.get(), b.get(), c.get()}) {
    ASSERT_EQ(agent->bound().size(), 1u);
    EXPECT_EQ(agent->bound().at(0).remote_port, ports.low);
  }
  std::map<std::string, int> answers;
  for (int i = 0; i < 12; ++i) ++answers[call()];
  EXPECT_EQ(answers, (std::map<std::string, int>{{"a", 4}, {"b", 4}, {"c", 4}}));
  ASSERT_TRUE(until([&] { return a->shared().contains("raw") && a->shared().at("raw") == 3; }));

  // The port is another tunnel's only when nobody serves this one any more.
  const auto thief = other_agent("thief", {tcp("other", ports.low)});
  ASSERT_TRUE(until([&] { return thief->settled(); }));
  EXPECT_EQ(thief->refused().at(0).code, Code::PORT_TAKEN);
  a.reset();
  ASSERT_TRUE(until([&] { return b->shared().at("raw") == 2; }));
  answers.clear();
  for (int i = 0; i < 8; ++i) ++answers[call()];
  EXPECT_EQ(answers, (std::map<std::string, int>{{"b", 4}, {"c", 4}}));
  b.reset();
  ASSERT_TRUE(until([&] { return c->shared().at("raw") == 1; }));
  EXPECT_EQ(call(), "c");
  c.reset();
  ASSERT_TRUE(until_seen([&] {
    const auto heir = other_agent("heir", {tcp("other", ports.low)});
    EXPECT_TRUE(until([&] { return heir->settled(); }));
    return heir->bound().contains(0);
  }));
}

TEST_F(Shared, BothSidesAreToldOfIt) {
  const test::Captured log(log::Format::json);
  const auto a = named("a");
  EXPECT_TRUE(log.events("tunnel shared").empty());
  auto b = named("b");
  ASSERT_TRUE(until([&] { return a->shared().contains("web") && b->shared().contains("web"); }));
  EXPECT_EQ(a->shared().at("web"), 2u);
  EXPECT_EQ(b->shared().at("web"), 2u);
  b.reset();
  ASSERT_TRUE(until([&] { return a->shared().at("web") == 1; }));
  const auto events = log.events("tunnel shared");
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0]["agents"], 2);
  EXPECT_EQ(events[0]["tunnel"], "web");
  EXPECT_EQ(events[1]["agents"], 1);
}

// The second request came while the first waited, and nothing else will wake its connection.
TEST_F(Shared, WhatWasAskedBehindARequestOfALostAgentIsAnsweredToo) {
  auto a = named("a"), b = named("b");
  a->on_served = b->on_served = nullptr;
  const auto someone = plain_visitor();
  someone->get("/tunnel/web/").get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return a->streams.size() + b->streams.size() == 1; }));
  auto& serving = a->streams.empty() ? b : a;
  auto& other = a->streams.empty() ? a : b;
  other.reset();
  ASSERT_TRUE(until([&] { return serving->shared().at("web") == 1; }));
  serving.reset();
  ASSERT_TRUE(until([&] { return someone->count("LEAT_AGENT_OFFLINE") == 2; })) << someone->text();
}

TEST_F(Shared, OneWhoseServiceIsDownIsSkippedWhileAnotherIsWell) {
  const auto a = named("a"), b = named("b");
  const auto report = [&](FakeAgent& agent, const Error* why) {
    const test::Captured log(log::Format::json);
    agent.control().health("web", why);
    agent.wake();
    EXPECT_TRUE(until_seen(
        [&] { return log.events(why != nullptr ? "service down" : "service up").size() == 1; }));
  };
  const Error down{Code::SERVICE_REFUSED, "refused"};
  report(*a, &down);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(ask(), "b");
  report(*b, &down);  // neither: they answer for themselves
  EXPECT_NE(ask(), ask());
  report(*a, nullptr);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(ask(), "a");
  report(*b, nullptr);
  EXPECT_NE(ask(), ask());
}

// Its session is still there for the relay, but nothing has come from it for too long.
TEST_F(Shared, AGhostIsNotAsked) {
  const auto a = named("a"), b = named("b");
  b->vanish();
  pass(limits::kSilent + std::chrono::milliseconds(300));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(ask(), "a");
}

TEST_F(Shared, AReplacedSessionIsNotAsked) {
  const auto a = named("a");
  const auto first = online({http()});
  const auto second = online({http()});
  answer_all(*second, kHello);
  std::map<std::string, int> answers;
  for (int i = 0; i < 6; ++i) ++answers[ask()];
  EXPECT_EQ(answers, (std::map<std::string, int>{{"a", 3}, {"hello", 3}}));
  EXPECT_TRUE(first->streams.empty());
}

// What its agent has not begun to answer goes to the other, unless doing it twice could do harm.
TEST_F(Shared, ARequestWhoseAgentDiesIsPutToTheOther) {
  const auto a = named("a");
  auto b = named("b");
  b->on_served = [](Served&) {};  // answers nothing
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (int i = 0; i < 8; ++i) {
    visitors.push_back(visitor());
    visitors.back()->get("/tunnel/web/", "Connection: close\r\n");
  }
  const auto asked = [&] { return a->streams.size() + b->streams.size(); };
  ASSERT_TRUE(until([&] { return asked() == 8; }));
  const auto poster = visitor(), second_poster = visitor();
  for (Visitor* each : {poster.get(), second_poster.get()}) {
    const std::size_t before = asked();
    each->send(
        "POST /tunnel/web/ HTTP/1.1\r\nHost: relay.test\r\nConnection: close\r\n"
        "Content-Length: 0\r\n\r\n");
    ASSERT_TRUE(until([&] { return asked() == before + 1; }));
  }
  ASSERT_TRUE(until([&] { return a->streams.size() == 5 && b->streams.size() == 5; }));
  b.reset();
  int refused = 0;
  for (const auto& each : visitors) {
    ASSERT_TRUE(until([&] { return each->over(); }));
    EXPECT_EQ(each->body(), "a") << each->text();
  }
  for (Visitor* each : {poster.get(), second_poster.get()}) {
    ASSERT_TRUE(until([&] { return each->over(); }));
    if (each->has("LEAT_AGENT_LOST")) ++refused;
  }
  EXPECT_EQ(refused, 1) << "it may have been done already";
}

TEST_F(Shared, TheSecondTryTakesThePlaceOfTheFirstAndIsTheSameRequest) {
  relay->set_plans({{Plan{.name = "p", .streams = 1, .requests_per_minute = 1}}, "p"});
  auto a = named("a"), b = named("b");
  std::unique_ptr<FakeAgent>* asked = nullptr;
  for (auto* agent : {&a, &b}) {
    (*agent)->on_served = [&asked, agent](Served& served) {
      if (asked == nullptr) asked = agent;
      if (asked != agent && served.has("\r\n\r\n") && served.unsent() == 0) served.answer(kHello);
    };
  }
  const auto guest = visitor();
  guest->get("/tunnel/web/", "Connection: close\r\n");
  ASSERT_TRUE(until([&] { return asked != nullptr; }));
  asked->reset();
  ASSERT_TRUE(until([&] { return guest->over(); }));
  EXPECT_EQ(guest->body(), "hello") << guest->text();
}

TEST_F(Shared, AnAnswerThatHasBegunIsCutNotRepeated) {
  auto a = named("a");
  const auto b = named("b");
  a->on_served = [answered = std::set<Served*>()](Served& served) mutable {
    if (!served.has("\r\n\r\n") || !answered.insert(&served).second) return;
    served.reply().send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  };
  const auto one = visitor(), other = visitor();
  one->get("/tunnel/web/");
  other->get("/tunnel/web/");
  Visitor* begun = nullptr;
  ASSERT_TRUE(until([&] {
    if (one->has("half")) begun = one.get();
    if (other->has("half")) begun = other.get();
    return begun != nullptr;
  }));
  a.reset();
  ASSERT_TRUE(until([&] { return begun->over(); }));
  EXPECT_TRUE(begun->failed());
  EXPECT_EQ(begun->count("HTTP/1.1"), 1u);
}

}  // namespace
}  // namespace leat::relay
