// What the agent says of its services: whether they are there, and what was asked of them.
#include <gtest/gtest.h>

#include "agent/egress.h"
#include "agent/world.h"
#include "base/limits.h"
#include "support/captured.h"

namespace leat::agent {
namespace {

using State = Status::State;

class Services : public World {
 protected:
  static constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

  // Until `look`, of which nobody is told.
  bool until_seen(std::function<bool()> look) {
    net::Timer again(loop.shard, [&] {
      loop.poke();
      again.arm_in(std::chrono::milliseconds(1));
    });
    again.arm_in(Duration(0));
    return until(std::move(look));
  }
  static Service watched(Service service, std::string path = {}, Duration interval = {}) {
    service.health.kind = path.empty() ? HealthPolicy::Kind::connect : HealthPolicy::Kind::path;
    service.health.path = std::move(path);
    service.health.interval = interval;
    return service;
  }
  Health::State health() { return agent->status().tunnels.at(0).health; }
};

TEST_F(Services, OneThatIsDownAtTheStartIsToldOfAndSoIsItsReturn) {
  const test::Captured log(log::Format::json);
  Origin& web = origin(on_head([](OriginConnection& c, const std::string&) { c.send(kOk); }));
  const HostPort address = web.address();
  web.stop_listening();
  online({watched(service("web", control::TunnelKind::http, address))});
  ASSERT_TRUE(until_seen([&] { return log.events("service.down").size() == 1; }));
  const auto down = log.events("service.down").front();
  EXPECT_EQ(down["level"], "warn");
  EXPECT_EQ(down["code"], "LEAT_SERVICE_REFUSED");
  EXPECT_EQ(down["next"], info(Code::SERVICE_REFUSED).next);
  EXPECT_EQ(down["tunnel"], "web");
  EXPECT_EQ(agent->status().tunnels.at(0).health_error->code, Code::SERVICE_REFUSED);

  const auto back = net::Listener::open(loop.shard, address, [](net::Fd) {}).value();
  ASSERT_TRUE(until_seen([&] { return log.events("service.up").size() == 1; }));
  EXPECT_EQ(health(), Health::State::up);
  EXPECT_EQ(log.events("service.down").size(), 1u);
}

// It is visitors who find out, and they may come by the hundred.
TEST_F(Services, OneThatComesAndGoesIsToldOfNowAndThen) {
  const test::Captured log(log::Format::json);
  std::vector<Health::State> states;
  Egress egress(loop.shard, service("web", control::TunnelKind::http, {"127.0.0.1", 1}), nullptr,
                std::make_shared<RequestLog>(loop.shard),
                [&](Egress& e) { states.push_back(e.health.state()); });
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i) {
    egress.note_failure({Code::SERVICE_REFUSED, "x"});
    egress.note_reached();
  }
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states.front(), Health::State::down);
  // The last word is the truth.
  ASSERT_TRUE(until_seen([&] { return states.size() == 2; }));
  EXPECT_EQ(states.back(), Health::State::up);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, limits::kHealthNews / 2);
  EXPECT_EQ(log.events("service.down").size(), 1u);
  EXPECT_EQ(log.events("service.up").size(), 1u);
  egress.retire();
}

TEST_F(Services, OneThatIsThereIsAskedOnceAndNotMentioned) {
  const test::Captured log(log::Format::json);
  Origin& web = origin(on_head([](OriginConnection& c, const std::string&) { c.send(kOk); }));
  online({watched(http(web))});
  ASSERT_TRUE(until_seen([&] { return health() == Health::State::up; }));
  ASSERT_TRUE(until([&] { return web.connections.size() == 1 && web.connections[0]->ended; }));
  EXPECT_TRUE(log.events("service.up").empty());
  EXPECT_TRUE(log.events("service.down").empty());
}

TEST_F(Services, AHealthPathSaysMoreThanAConnection) {
  int status = 500;
  std::vector<std::string> asked;
  Origin& web = origin(on_head([&](OriginConnection& c, const std::string& head) {
    asked.push_back(head.substr(0, head.find("\r\n")));
    c.send("HTTP/1.1 " + std::to_string(status) + " x\r\nContent-Length: 0\r\n\r\n");
  }));
  online({watched(http(web), "/health", std::chrono::milliseconds(1))});
  ASSERT_TRUE(until_seen([&] { return health() == Health::State::down; }));
  EXPECT_EQ(agent->status().tunnels[0].health_error->code, Code::SERVICE_UNHEALTHY);
  EXPECT_EQ(asked.front(), "GET /health HTTP/1.1");
  status = 401;  // it asks for a credential: it is there
  ASSERT_TRUE(until_seen([&] { return health() == Health::State::up; }));
  status = 404;
  ASSERT_TRUE(until_seen([&] { return health() == Health::State::down; }));
  status = 204;
  ASSERT_TRUE(until_seen([&] { return health() == Health::State::up; }));
}

TEST_F(Services, InterimHeadsOfAHealthPathAreCounted) {
  std::string answer;
  for (int i = 0; i < 200'000; ++i) answer += "HTTP/1.1 103 x\r\n\r\n";
  Origin& web = origin(on_head(
      [&](OriginConnection& c, const std::string&) { c.send(answer + "HTTP/1.1 204 x\r\n\r\n"); }));
  online({watched(http(web), "/health", std::chrono::milliseconds(1))});
  ASSERT_TRUE(until_seen([&] { return health() != Health::State::unknown; }));
  ASSERT_EQ(health(), Health::State::down);
  EXPECT_EQ(agent->status().tunnels[0].health_error->code, Code::SERVICE_PROTOCOL);
  answer.clear();
  for (int i = 0; i < limits::kInterimHeads; ++i) answer += "HTTP/1.1 103 x\r\n\r\n";
  ASSERT_TRUE(until_seen([&] { return health() == Health::State::up; }));
}

// … however slowly they come.
TEST_F(Services, InterimHeadsOfAHealthPathAreCountedAcrossReads) {
  OriginConnection* asked = nullptr;
  int left = 4 * limits::kInterimHeads;
  net::Timer drip(loop.shard, [&] {
    if (asked->gone() || left < 0) return;
    asked->send(left-- > 0 ? "HTTP/1.1 103 x\r\n\r\n" : "HTTP/1.1 204 x\r\n\r\n");
    drip.arm_in(std::chrono::milliseconds(1));
  });
  Origin& web = origin(on_head([&](OriginConnection& c, const std::string&) {
    asked = &c;
    drip.arm_in(Duration(0));
  }));
  online({watched(http(web), "/health")});
  ASSERT_TRUE(until_seen([&] { return health() != Health::State::unknown; }));
  ASSERT_EQ(health(), Health::State::down);
  EXPECT_EQ(agent->status().tunnels[0].health_error->code, Code::SERVICE_PROTOCOL);
}

TEST_F(Services, TheRelayIsTold) {
  Origin& web = origin(on_head([](OriginConnection& c, const std::string&) { c.send(kOk); }));
  const HostPort address = web.address();
  web.stop_listening();
  online({watched(service("web", control::TunnelKind::http, address))});
  ASSERT_TRUE(until([&] { return relay.session().health.contains("web"); }));
  EXPECT_EQ(relay.session().health["web"], "LEAT_SERVICE_REFUSED");
  // A session that is new to it learns it too.
  relay.session().cut();
  ASSERT_TRUE(
      until([&] { return relay.sessions.size() == 2 && relay.session().health.contains("web"); }));
  const auto back = net::Listener::open(loop.shard, address, [](net::Fd) {}).value();
  ASSERT_TRUE(until([&] { return relay.session().health["web"].empty(); }));
}

TEST_F(Services, WhatAVisitorMeetsCounts) {
  Origin& web = origin(on_head([](OriginConnection& c, const std::string&) { c.send(kOk); }));
  online({http(web)});
  EXPECT_EQ(health(), Health::State::unknown);
  Visit& got = visit("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_EQ(health(), Health::State::up);
  web.stop_listening();
  web.connections.clear();  // the kept one too
  ASSERT_TRUE(until_seen([&] {
    Visit& refused = visit("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    return until([&] { return refused.over(); }) && refused.failure() == "LEAT_SERVICE_REFUSED";
  }));
  EXPECT_EQ(health(), Health::State::down);
}

// --- requests ---

TEST_F(Services, ARequestIsALine) {
  const test::Captured log(log::Format::json);
  Origin& web = origin(on_head([](OriginConnection& c, const std::string&) { c.send(kOk); }));
  online({http(web)});
  Visit& got = visit(
      "GET /v1/models?key=s3cret HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer s3cret\r\n"
      "Cookie: s3cret\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.over(); }));
  ASSERT_TRUE(until_seen([&] { return log.events("request").size() == 1; }));
  const auto line = log.events("request").front();
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["tunnel"], "web");
  EXPECT_EQ(line["method"], "GET");
  EXPECT_EQ(line["path"], "/v1/models");
  EXPECT_EQ(line["status"], 200);
  EXPECT_EQ(line["bytes"], 2);
  EXPECT_EQ(line["end"], "whole");
  EXPECT_GE(line["ms"], 0);
  for (const std::string& each : log.lines()) EXPECT_EQ(each.find("s3cret"), each.npos) << each;
}

TEST_F(Services, ARequestThatFailsIsALineToo) {
  const test::Captured log(log::Format::json);
  Origin& web = origin(on_head([](OriginConnection& c, const std::string&) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    c.cut();
  }));
  online({http(web), service("gone", control::TunnelKind::http, {"127.0.0.1", 1})});
  Visit& got = visit("GET /cut HTTP/1.1\r\nHost: h\r\n\r\n");
  Visit& gone = relay.open("gone", control::TunnelKind::http)
                    .send("GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")
                    .finish();
  ASSERT_TRUE(until([&] { return got.over() && gone.over(); }));
  ASSERT_TRUE(until_seen([&] { return log.events("request").size() == 2; }));
  for (const auto& line : log.events("request")) {
    const bool gone_one = line["path"] == "/gone";
    EXPECT_EQ(line["end"], gone_one ? "whole" : "cut");  // the relay's 502 is an answer
    EXPECT_EQ(line["status"], gone_one ? 502 : 200);
  }
}

TEST_F(Services, AFloodOfRequestsCostsFewLines) {
  const test::Captured log(log::Format::json);
  Origin& web = origin(on_head([](OriginConnection& c, const std::string&) { c.send(kOk); }));
  online({http(web)});
  constexpr std::size_t kMany = 500;
  std::vector<Visit*> visits;
  for (std::size_t i = 0; i < kMany; ++i) {
    visits.push_back(&visit("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  }
  ASSERT_TRUE(until(
      [&] { return std::ranges::all_of(visits, [](const Visit* each) { return each->over(); }); }));
  const auto left_out = [&] {
    std::size_t sum = 0;
    for (const auto& line : log.events("requests.left_out")) sum += line["count"].get<unsigned>();
    return sum;
  };
  ASSERT_TRUE(until_seen([&] { return log.events("request").size() + left_out() == kMany; }));
  EXPECT_LT(log.events("request").size(), 100u);
  EXPECT_GE(log.events("request").size(), limits::kRequestLines.burst);
  EXPECT_EQ(agent->requests().count(), kMany);
  EXPECT_EQ(agent->requests().last().size(), limits::kRequestsKept);
}

TEST(RequestPath, IsWithoutQueryAndNotLong) {
  EXPECT_EQ(RequestLine::path_of("/a/b?c?d"), "/a/b");
  EXPECT_EQ(RequestLine::path_of("/" + std::string(1000, 'x')).size(), limits::kRequestPath);
}

TEST_F(Services, ASharedTunnelIsMentioned) {
  const test::Captured log(log::Format::json);
  online({service("web", control::TunnelKind::http, {"127.0.0.1", 1})});
  relay.session().shared("web", 2);
  relay.session().shared("other", 2);  // none of ours
  ASSERT_TRUE(until_seen([&] { return !log.events("tunnel.shared").empty(); }));
  const auto events = log.events("tunnel.shared");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0]["level"], "info");
  EXPECT_EQ(events[0]["tunnel"], "web");
  EXPECT_EQ(events[0]["agents"], 2);
}

}  // namespace
}  // namespace leat::agent
