// The admin API and the metrics: who may ask, what is answered, and that the description is true.
#include "relay/admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "relay/openapi.h"
#include "relay/world.h"

namespace leat::relay {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

constexpr char kKey[] = "an-admin-key-of-32-characters-ok";

class Admin : public World {
 protected:
  void configure(Options& options) override {
    options.admin_listen = HostPort{"127.0.0.1", 0};
    options.admin_key = Secret(kKey);
    options.plans = {{Plan{.name = "p", .tunnels = 5}}, "p"};
  }
  struct Said {
    int status = 0;
    std::string text, body;
    json object() const { return json::parse(body, nullptr, false); }
  };
  Said ask(const std::string& method, const std::string& target,
           const std::string& fields = std::string("X-Admin-Key: ") + kKey + "\r\n") {
    Visitor client(loop, *relay->info().admin_listen, nullptr);
    client.send(method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields +
                "\r\n");
    EXPECT_TRUE(until([&] { return client.over(); }));
    const std::string text = client.text();
    Said said{text.size() > 12 ? std::atoi(text.c_str() + 9) : 0, text, client.body()};
    test::expect_described(method, target, said.status, said.body);
    return said;
  }
};

TEST_F(Admin, NobodyWithoutTheKey) {
  for (const char* fields :
       {"", "X-Admin-Key: \r\n", "X-Admin-Key: wrong\r\n", "Authorization: Bearer wrong\r\n",
        "X-Admin-Key: a\r\nX-Admin-Key: an-admin-key-of-32-characters-ok\r\n"}) {
    const Said said = ask("GET", "/api/v1/tokens", fields);
    EXPECT_EQ(said.status, 401) << fields;
  }
  EXPECT_EQ(ask("GET", "/api/v1/status").status, 200);
  EXPECT_EQ(
      ask("GET", "/api/v1/status", std::string("Authorization: Bearer ") + kKey + "\r\n").status,
      200);
  for (int i = 0; i < 10; ++i) ask("GET", "/api/v1/tokens", "X-Admin-Key: guess\r\n");
  EXPECT_EQ(ask("GET", "/api/v1/tokens", "X-Admin-Key: guess\r\n").status, 429);
  EXPECT_EQ(ask("GET", "/api/v1/tokens").status, 200) << "who guesses shuts nobody out";
}

TEST_F(Admin, IsNotOnThePublicDoors) {
  for (const char* target : {"/api/v1/status", "/metrics", "/tunnel/../api/v1/status"}) {
    const auto stranger = visitor();
    stranger->get(target, std::string("X-Admin-Key: ") + kKey + "\r\n");
    ASSERT_TRUE(until([&] { return stranger->has("\r\n\r\n") || stranger->over(); }));
    EXPECT_TRUE(stranger->has("HTTP/1.1 404 ")) << stranger->text();
  }
}

// Threat 22: of the relay's own, on either door.
TEST_F(Admin, NothingIsCompressed) {
  const std::string offer = "Accept-Encoding: gzip, deflate, br, zstd\r\n";
  for (const char* target : {"/", "/app.js", "/metrics", "/api/v1/tunnels", "/api/v1/none"}) {
    const Said said = ask("GET", target, std::string("X-Admin-Key: ") + kKey + "\r\n" + offer);
    EXPECT_NE(said.status, 0) << target;
    EXPECT_THAT(said.text, Not(HasSubstr("Content-Encoding"))) << target;
  }
  for (const char* target : {"/healthz", "/none", "/agent", "/client?room=none", "/tunnel/none/"}) {
    const auto guest = visitor();
    guest->get(target, offer);
    ASSERT_TRUE(until([&] { return guest->has("\r\n\r\n"); })) << target;
    EXPECT_FALSE(guest->has("Content-Encoding")) << target;
  }
}

TEST_F(Admin, AgentsTunnelsAndTheirEnd) {
  const auto agent = online({http("a"), http("b")});
  agent->on_served = [](Served& served) {
    if (served.has("\r\n\r\n") && served.unsent() == 0) {
      served.reply().send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun");
    }
  };
  const auto reader = visitor();
  reader->get("/tunnel/b/");
  ASSERT_TRUE(until([&] { return reader->has("begun"); }));

  const json agents = ask("GET", "/api/v1/agents").object().at("agents");
  ASSERT_EQ(agents.size(), 1u);
  EXPECT_EQ(agents[0].at("owner"), "first");
  EXPECT_EQ(agents[0].at("tunnels"), json({"a", "b"}));
  const std::string own = agents[0].at("identity");
  EXPECT_EQ(own, hex(identity->public_key()));

  EXPECT_EQ(ask("DELETE", "/api/v1/tunnels/b").status, 204);
  ASSERT_TRUE(until([&] { return reader->over(); }, 1s)) << "its visitors are cut";
  EXPECT_TRUE(reader->failed());
  ASSERT_TRUE(until([&] { return agent->noticed.has_value(); }));
  EXPECT_EQ(agent->noticed->code, Code::REVOKED);
  EXPECT_EQ(ask("GET", "/api/v1/tunnels").object().at("tunnels").size(), 1u);
  EXPECT_EQ(ask("DELETE", "/api/v1/tunnels/none").status, 404);

  EXPECT_EQ(ask("DELETE", "/api/v1/agents/00").status, 404);
  EXPECT_EQ(ask("DELETE", "/api/v1/agents/" + own).status, 204);
  ASSERT_TRUE(until([&] { return agent->ended(); }, 1s));
  EXPECT_EQ(agent->why().code, Code::REVOKED);
}

// Whatever the relay knows of what is in them.
TEST_F(Admin, ATunnelThatGoesCutsItsPipesToo) {
  const auto agent = online(
      {tcp(), control::TunnelRequest{"den", control::TunnelKind::sealed, false, 0}, http("kept")});
  const auto raw = tcp_visitor(agent->bound().at(0).remote_port), den = visitor();
  raw->send("go");
  den->get("/sealed/den",
           "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
           "Sec-WebSocket-Protocol: leat-sealed.1\r\n");
  ASSERT_TRUE(until([&] {
    return agent->streams.size() == 2 && agent->streams[0]->opened() && agent->streams[1]->opened();
  }));
  for (const auto& served : agent->streams) served->reply().send("begun");
  ASSERT_TRUE(until([&] { return raw->has("begun") && den->has("begun"); }));
  const std::string text = ask("GET", "/metrics", "").body;
  for (const char* line : {"leat_visitors{kind=\"tcp\"} 1\n", "leat_visitors{kind=\"sealed\"} 1\n",
                           "leat_streams 3\n"}) {  // and the control stream
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_EQ(ask("DELETE", "/api/v1/tunnels/raw").status, 204);
  ASSERT_TRUE(until([&] { return raw->over(); }, 5s));
  EXPECT_TRUE(raw->failed()) << "cut, not ended";
  EXPECT_FALSE(den->over());
  EXPECT_EQ(ask("DELETE", "/api/v1/tunnels/den").status, 204);
  ASSERT_TRUE(until([&] { return den->over(); }, 5s));
  answer_all(*agent, kHello);
  expect_served("kept");
  EXPECT_THAT(ask("GET", "/metrics", "").body,
              HasSubstr("leat_resets_total{reason=\"revoked\"} 2\n"));
}

TEST_F(Admin, HostsGoWithTheirTunnelAndTunnelsWithTheirHost) {
  const auto named = [](std::string id, std::vector<std::string> hosts) {
    control::TunnelRequest request{std::move(id), control::TunnelKind::tls, false, 0};
    request.hosts = std::move(hosts);
    return request;
  };
  const auto agent = online({named("web", {"www.example.org", "example.net"}),
                             named("mail", {"mail.example.org"}), http("kept")});
  ASSERT_TRUE(agent->refused().empty());
  const auto store = store::Store::open(dir / "leat.db").value();
  EXPECT_EQ(ask("DELETE", "/api/v1/tunnels/example.net").status, 204);
  ASSERT_TRUE(until([&] { return agent->taken.size() == 1; }));
  EXPECT_EQ(agent->taken.back(), "web");
  EXPECT_EQ(ask("GET", "/api/v1/tunnels").object().at("tunnels").size(), 2u);
  EXPECT_FALSE(store->is_owned("example.net").value());
  EXPECT_TRUE(store->is_owned("www.example.org").value()) << "still its owner's";

  EXPECT_EQ(ask("DELETE", "/api/v1/tunnels/mail").status, 204);
  ASSERT_TRUE(until([&] { return agent->taken.size() == 2; }));
  EXPECT_EQ(agent->taken.back(), "mail");
  EXPECT_FALSE(store->is_owned("mail").value());
  EXPECT_FALSE(store->is_owned("mail.example.org").value());
  EXPECT_FALSE(agent->ended());
  answer_all(*agent, kHello);
  expect_served("kept");
}

TEST_F(Admin, TokensComeInPages) {
  for (const char* name : {"b", "c"}) {
    ASSERT_EQ(ask("POST", std::string("/api/v1/tokens?name=") + name).status, 201);
  }
  std::vector<std::string> names;
  std::string next;
  for (int pages = 0; pages < 3; ++pages) {
    const json page = ask("GET", "/api/v1/tokens?limit=2" + next).object();
    for (const json& each : page.at("tokens")) names.push_back(each.at("name"));
    if (page.at("next").is_null()) break;
    next = "&cursor=" + page.at("next").get<std::string>();
  }
  EXPECT_THAT(names, testing::ElementsAre("first", "b", "c"));
  for (const char* bad : {"limit=0", "limit=x", "cursor=-1", "cursor=1x"}) {
    EXPECT_EQ(ask("GET", std::string("/api/v1/tokens?") + bad).status, 400) << bad;
  }
}

TEST_F(Admin, TokensAreMadeListedAndRevoked) {
  const Said made = ask("POST", "/api/v1/tokens?name=new%40home&plan=p");
  ASSERT_EQ(made.status, 201) << made.text;
  token = Secret(made.object().at("token").get<std::string>());
  const auto agent = online({http()});
  EXPECT_EQ(agent->credential_name, "new@home");
  EXPECT_EQ(ask("POST", "/api/v1/tokens?name=new%40home").status, 409);
  EXPECT_EQ(ask("POST", "/api/v1/tokens?name=bad+name").status, 400);
  EXPECT_EQ(ask("POST", "/api/v1/tokens?nome=x").status, 400);
  EXPECT_EQ(ask("GET", "/api/v1/tokens").object().at("tokens").size(), 2u);
  EXPECT_THAT(ask("GET", "/api/v1/tokens").body,
              testing::Not(HasSubstr(std::string(token.reveal()))));
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(ask("DELETE", "/api/v1/tokens/new%40home").status, 204);
  ASSERT_TRUE(until([&] { return agent->ended(); }, 1s));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
  EXPECT_EQ(ask("DELETE", "/api/v1/tokens/new%40home").status, 404);
  EXPECT_THAT(ask("POST", "/api/v1/pair").object().at("token").get<std::string>(),
              testing::MatchesRegex("[a-z2-7]{8}-[a-z2-7]{26}"));
}

TEST_F(Admin, AnOwnerIsGivenAnotherPlan) {
  ASSERT_EQ(ask("POST", "/api/v1/tokens?name=ann").status, 201);
  EXPECT_EQ(ask("PATCH", "/api/v1/tokens/ann?plan=p").status, 204);
  const auto plan = [&] {
    return ask("GET", "/api/v1/tokens").object().at("tokens").back().at("plan");
  };
  EXPECT_EQ(plan(), "p");
  EXPECT_EQ(ask("PATCH", "/api/v1/tokens/ann?plan=gold").status, 400);
  EXPECT_EQ(ask("PATCH", "/api/v1/tokens/bob?plan=p").status, 404);
  EXPECT_EQ(plan(), "p");
}

TEST_F(Admin, PlansThatTheRelayDoesNotHaveAreGivenToNobody) {
  for (const char* target : {"/api/v1/tokens?name=a&plan=gold", "/api/v1/pair?plan=gold"}) {
    const Said said = ask("POST", target);
    EXPECT_EQ(said.status, 400) << target;
    EXPECT_THAT(said.body, HasSubstr("LEAT_ADMIN_PARAMETER")) << target;
  }
  EXPECT_EQ(ask("GET", "/api/v1/tokens").object().at("tokens").size(), 1u);
  EXPECT_EQ(ask("POST", "/api/v1/pair?plan=p").status, 201);
}

TEST_F(Admin, UsageAndPlans) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  expect_served();
  const json usage = ask("GET", "/api/v1/usage?owner=first").object().at("usage");
  ASSERT_EQ(usage.size(), 2u);
  EXPECT_EQ(usage[0].at("requests"), 1);
  EXPECT_GT(usage[0].at("bytes_out"), 5);
  EXPECT_EQ(ask("GET", "/api/v1/usage?owner=nobody").object().at("usage").size(), 0u);
  const std::string day = usage[0].at("period"), month = usage[1].at("period");
  EXPECT_EQ(ask("GET", "/api/v1/usage?since=" + month).object().at("usage").size(), 2u);
  EXPECT_EQ(ask("GET", "/api/v1/usage?since=" + day).object().at("usage").size(), 1u);
  const json plans = ask("GET", "/api/v1/plans").object();
  EXPECT_EQ(plans.at("default"), "p");
  EXPECT_EQ(plans.at("plans")[0].at("tunnels"), 5);
  EXPECT_EQ(plans.at("plans")[0].at("streams"), nullptr);
}

TEST_F(Admin, WhatIsNotThereIsSaidSo) {
  EXPECT_EQ(ask("GET", "/api/v1/nothing").status, 404);
  EXPECT_EQ(ask("GET", "/api/v1/tokens/").status, 404);
  EXPECT_EQ(ask("GET", "/api/v1/tokens/a/b").status, 404);
  EXPECT_EQ(ask("PUT", "/api/v1/tokens").status, 405);
  EXPECT_EQ(ask("GET", "/api/v2/status").status, 404);
}

TEST_F(Admin, MetricsCount) {
  const auto agent = online({http(), tcp()});
  answer_all(*agent, kHello);
  expect_served();
  const auto stranger = visitor();
  stranger->get("/tunnel/none/");
  ASSERT_TRUE(until([&] { return stranger->has("LEAT_AGENT_OFFLINE"); }));
  const std::string text = ask("GET", "/metrics", "").body;
  for (const char* line :
       {"leat_build_info{version=\"", "leat_agents 1\n", "leat_tunnels 2\n",
        "leat_opens_total{kind=\"http\"} 1\n",
        "leat_refusals_total{code=\"LEAT_AGENT_OFFLINE\"} 1\n",
        "leat_resets_total{reason=\"visitor\"} 0\n", "leat_time_to_first_byte_seconds_count 1\n",
        "leat_quota_refusals_total{code=\"LEAT_QUOTA_DAY\"} 0\n",
        "leat_queue_bytes{queue=\"undelivered\"} 0\n", "leat_agents_rejoined_total 0\n",
        "leat_agents_joined_total 1\n", "leat_connection_log_dropped_total 0\n",
        "# TYPE leat_bytes_total counter\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text,
              testing::Not(HasSubstr("leat_bytes_total{direction=\"out\",kind=\"http\"} 0\n")));
}

TEST_F(Admin, MetricsTellCutsAndAgentsThatComeBack) {
  auto agent = online({http()});
  const auto leaving = visitor();
  leaving->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return agent->streams.size() == 1; }));
  leaving->abort();
  ASSERT_TRUE(until([&] { return agent->streams[0]->was_reset(); }));
  const auto cut = visitor();
  cut->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return agent->streams.size() == 2; }));
  agent->streams[1]->cut();
  ASSERT_TRUE(until([&] { return cut->has("LEAT_SERVICE_CUT"); }));
  agent = online({http()});
  const std::string text = ask("GET", "/metrics", "").body;
  for (const char* line :
       {"leat_resets_total{reason=\"visitor\"} 1\n", "leat_resets_total{reason=\"agent\"} 1\n",
        "leat_agents_rejoined_total 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(Admin, MetricsTellRefusalsForLimitsAndRoundTrips) {
  relay->set_plans({{Plan{.name = "p", .requests_per_minute = 1}}, "p"});
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  expect_served();
  for (int i = 0; i < 2; ++i) {
    const auto late = visitor();
    late->get("/tunnel/web/");
    ASSERT_TRUE(until([&] { return late->has("LEAT_QUOTA_REQUESTS"); }));
  }
  const std::string trip = "leat_round_trip_seconds{stat=\"max\"} ";
  std::string text = ask("GET", "/metrics", "").body;
  for (int i = 0; i < 50 && text.find(trip) == text.npos; ++i) {
    pass(100ms);
    text = ask("GET", "/metrics", "").body;
  }
  ASSERT_THAT(text, HasSubstr(trip));
  EXPECT_GT(std::stod(text.substr(text.find(trip) + trip.size())), 0);
  EXPECT_THAT(text, HasSubstr("leat_quota_refusals_total{code=\"LEAT_QUOTA_REQUESTS\"} 2\n"));
}

class AdminWithoutKey : public World {
 protected:
  void configure(Options& options) override { options.admin_listen = HostPort{"127.0.0.1", 0}; }
};

TEST_F(AdminWithoutKey, ThereIsNoAdmin) {
  for (const char* fields : {"", "X-Admin-Key: \r\n", "Authorization: Bearer \r\n"}) {
    Visitor client(loop, *relay->info().admin_listen, nullptr);
    client.get("/api/v1/status", fields);
    ASSERT_TRUE(until([&] { return client.has("\r\n\r\n"); }));
    EXPECT_TRUE(client.has("HTTP/1.1 404 "));
  }
}

TEST(OpenApi, DescribesTheTableAndNothingElse) {
  std::set<std::string> described, served;
  for (const auto& [path, methods] : test::description().at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string line = method + " " + path;
      std::set<std::string> names;
      for (const json& parameter : operation.value("parameters", json::array())) {
        if (parameter.at("in") == "query") names.insert(parameter.at("name"));
      }
      for (const std::string& name : names) line += " " + name;
      described.insert(line);
      EXPECT_TRUE(operation.contains("responses")) << line;
    }
  }
  for (const AdminHandler& handler : admin_handlers()) {
    std::string line;
    for (const char c : handler.method) line += static_cast<char>(std::tolower(c));
    line += " " + std::string(handler.path);
    for (const std::string_view name : std::set(handler.query.begin(), handler.query.end())) {
      line.append(" ").append(name);
    }
    served.insert(line);
  }
  EXPECT_EQ(described, served);
  // What answers are held against.
  EXPECT_FALSE(test::operation_for("GET", "/api/v1/usage?owner=x").is_null());
  EXPECT_FALSE(test::operation_for("POST", "/api/v1/agents/00/drain").is_null());
  EXPECT_TRUE(test::operation_for("GET", "/api/v1/pair/a/b").is_null());
}

}  // namespace
}  // namespace leat::relay
