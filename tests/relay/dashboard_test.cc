// The dashboard's way in: what a browser must have, and what does not do.
#include "relay/dashboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/join_url.h"
#include "relay/admin_door.h"
#include "relay/openapi.h"
#include "relay/world.h"

namespace leat::relay {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

constexpr char kKey[] = "an-admin-key-of-32-characters-ok";

class Dashboard : public World {
 protected:
  void configure(Options& options) override {
    options.admin_listen = HostPort{"127.0.0.1", 0};
    options.admin_key = Secret(kKey);
  }
  struct Said {
    int status = 0;
    std::string text, body;
    json object() const { return json::parse(body, nullptr, false); }
  };
  Said ask(const std::string& method, const std::string& target, const std::string& fields = {},
           bool door = false) {
    const auto client =
        door ? visitor() : std::make_unique<Visitor>(loop, *relay->info().admin_listen, nullptr);
    client->send(method + " " + target + " HTTP/1.1\r\nHost: relay.test\r\nConnection: close\r\n" +
                 fields + "\r\n");
    EXPECT_TRUE(until([&] { return client->over(); }));
    const std::string text = client->text();
    Said said{text.size() > 12 ? std::atoi(text.c_str() + 9) : 0, text, client->body()};
    // On the public doors it is not there unless the operator has it so.
    if (!door || said.status != 404) test::expect_described(method, target, said.status, said.body);
    return said;
  }
  static std::string key() { return std::string("X-Admin-Key: ") + kKey + "\r\n"; }

  struct Session {
    std::string cookie, token;  // as fields
  };
  Session log_in() {
    const Said said = ask("POST", "/api/v1/session", key());
    EXPECT_EQ(said.status, 201) << said.text;
    const std::size_t begin = said.text.find("leat_admin=");
    return {
        "Cookie: other=1; " + said.text.substr(begin, said.text.find(';', begin) - begin) + "\r\n",
        "X-Csrf-Token: " + said.object().at("token").get<std::string>() + "\r\n"};
  }
};

TEST_F(Dashboard, PagesAreSelfContainedAndStrict) {
  const Said page = ask("GET", "/");
  EXPECT_EQ(page.status, 200);
  for (const char* field :
       {"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'",
        "frame-ancestors 'none'", "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer",
        "Content-Type: text/html; charset=utf-8"}) {
    EXPECT_THAT(page.text, HasSubstr(field));
  }
  EXPECT_THAT(page.text, Not(HasSubstr("unsafe")));
  EXPECT_THAT(page.body, Not(HasSubstr("://"))) << "nothing from elsewhere";
  EXPECT_THAT(page.body, Not(HasSubstr("style=")));
  EXPECT_THAT(page.body, Not(HasSubstr("onclick")));
  for (const char* path : {"/app.js", "/api.js", "/plot.js", "/format.js", "/style.css"}) {
    const Said asset = ask("GET", path);
    EXPECT_EQ(asset.status, 200) << path;
    EXPECT_GT(asset.body.size(), 200u) << path;
  }
  EXPECT_EQ(ask("GET", "/nothing").status, 404);
  EXPECT_EQ(ask("POST", "/").status, 405);
  EXPECT_EQ(ask("GET", "/", {}, true).status, 404) << "not on the public doors";
}

TEST_F(Dashboard, ASessionTakesBothHalves) {
  const Said said = ask("POST", "/api/v1/session", key());
  EXPECT_THAT(said.text, HasSubstr("; Path=/; HttpOnly; SameSite=Strict\r\n"));
  EXPECT_EQ(ask("POST", "/api/v1/session").status, 401);
  EXPECT_EQ(ask("POST", "/api/v1/session", "X-Admin-Key: wrong\r\n").status, 401);

  const Session session = log_in(), other = log_in();
  EXPECT_EQ(ask("GET", "/api/v1/status", session.cookie + session.token).status, 200);
  // The cookie alone, as another port of the same host would have it: not even to read.
  for (const std::string& fields :
       {session.cookie, session.cookie + "X-Csrf-Token: guess\r\n", session.cookie + other.token,
        session.cookie + session.token + session.token}) {
    const Said refused = ask("GET", "/api/v1/tokens", fields);
    EXPECT_EQ(refused.status, 403) << fields;
    EXPECT_THAT(refused.body, HasSubstr("LEAT_ADMIN_FORGERY"));
  }
  const Said alone = ask("GET", "/api/v1/tokens", session.token);
  EXPECT_EQ(alone.status, 401);
  EXPECT_THAT(alone.body, HasSubstr("LEAT_ADMIN_KEY"));
}

TEST_F(Dashboard, RequestsFromOtherPagesAreRefused) {
  const Session session = log_in();
  const std::string both = session.cookie + session.token;
  for (const char* from :
       {"Origin: http://evil.test\r\n", "Origin: null\r\n", "Origin: http://relay.test:8080\r\n",
        "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n"}) {
    EXPECT_EQ(ask("DELETE", "/api/v1/tokens/first", both + from).status, 403) << from;
  }
  EXPECT_EQ(ask("GET", "/api/v1/status", both + "Origin: http://relay.test\r\n").status, 200);
  EXPECT_EQ(ask("DELETE", "/api/v1/tokens/first", both + "Sec-Fetch-Site: same-origin\r\n").status,
            204);
  EXPECT_THAT(ask("OPTIONS", "/api/v1/status", key()).text, Not(HasSubstr("Access-Control-Allow")));
}

TEST_F(Dashboard, LoggedOutIsOut) {
  const Session session = log_in();
  const std::string both = session.cookie + session.token;
  EXPECT_EQ(ask("DELETE", "/api/v1/session", both).status, 204);
  EXPECT_EQ(ask("GET", "/api/v1/status", both).status, 401);
}

TEST_F(Dashboard, LoggedOutIsOutOfItsEventsToo) {
  const Session session = log_in(), other = log_in();
  Visitor ended(loop, *relay->info().admin_listen, nullptr),
      going_on(loop, *relay->info().admin_listen, nullptr);
  ended.get("/api/v1/events", session.cookie + session.token);
  going_on.get("/api/v1/events", other.cookie + other.token);
  ASSERT_TRUE(until([&] { return ended.has("event: history") && going_on.has("event: history"); }));
  EXPECT_EQ(ask("DELETE", "/api/v1/session", session.cookie + session.token).status, 204);
  ASSERT_TRUE(until([&] { return ended.over(); }, 3s));
  going_on.forget();
  ASSERT_TRUE(until([&] { return going_on.has("event: second"); }));
}

// A tab that was left open asks on and on; it is no guesser.
TEST_F(Dashboard, AnOldSessionIsNoTry) {
  const Session session = log_in();
  ask("DELETE", "/api/v1/session", session.cookie + session.token);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(ask("GET", "/api/v1/status", session.cookie + session.token).status, 401);
  }
  EXPECT_EQ(ask("GET", "/api/v1/status", key()).status, 200);
}

TEST_F(Dashboard, EventsTellWhatHappens) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  Visitor stream(loop, *relay->info().admin_listen, nullptr);
  stream.get("/api/v1/events", key());
  ASSERT_TRUE(until([&] { return stream.has("event: history\ndata: ["); }));
  EXPECT_TRUE(stream.has("Content-Type: text/event-stream\r\n"));
  expect_served();
  ASSERT_TRUE(until([&] { return stream.has("\"tunnel\":\"web\""); }));
  EXPECT_TRUE(stream.has("\"first_byte_p50_ms\":"));
  const auto another = other_agent("b", {http("second")});
  ASSERT_TRUE(until([&] { return another->settled() || another->ended(); }));
  ASSERT_TRUE(until([&] { return stream.has("event: changed\ndata: {}\n"); }));

  EXPECT_EQ(ask("GET", "/api/v1/events").status, 401);
  std::vector<std::unique_ptr<Visitor>> more;
  for (int i = 0; i < 15; ++i) {
    more.push_back(std::make_unique<Visitor>(loop, *relay->info().admin_listen, nullptr));
    more.back()->get("/api/v1/events", key());
    ASSERT_TRUE(until([&] { return more.back()->has("event: history"); }));
  }
  EXPECT_THAT(ask("GET", "/api/v1/events", key()).body, HasSubstr("LEAT_ADMIN_STREAMS"));
  more.pop_back();
  Visitor next(loop, *relay->info().admin_listen, nullptr);
  pass(100ms);  // the relay hears of the end
  next.get("/api/v1/events", key());
  EXPECT_TRUE(until([&] { return next.has("event: history"); })) << "one has gone, one may come";
}

TEST_F(Dashboard, TheGovernorIsShown) {
  const auto agent = online({http()});
  const json governor = ask("GET", "/api/v1/agents", key()).object().at("agents")[0].at("governor");
  EXPECT_NE(governor.at("mode"), "unbounded");
  EXPECT_TRUE(governor.contains("outstanding_cap"));
}

TEST_F(Dashboard, TunnelsSayWhatTheRelaySees) {
  const auto agent = online({http(), tcp("raw", ports.low)});
  const json tunnels = ask("GET", "/api/v1/tunnels", key()).object().at("tunnels");
  ASSERT_EQ(tunnels.size(), 2u);
  for (const json& tunnel : tunnels) {
    const bool raw = tunnel.at("kind") == "tcp";
    EXPECT_THAT(tunnel.at("relay_sees").get<std::string>(),
                HasSubstr(raw ? "bytes as they are" : "in the clear"));
    EXPECT_THAT(tunnel.at("urls")[0].get<std::string>(),
                HasSubstr(raw ? "tcp://" : "/tunnel/web/"));
  }
}

TEST_F(Dashboard, ACodeIsLookedAtAndWithdrawn) {
  const json made = ask("POST", "/api/v1/pair?name=attic", key()).object();
  const std::string code = made.at("token");
  const auto url = parse_join_url(made.at("url").get<std::string>());
  ASSERT_TRUE(url);
  EXPECT_EQ(url->code, Secret(code));
  EXPECT_EQ(ask("GET", "/api/v1/pair/" + code, key()).object().at("state"), "waiting");
  const std::string wrong = code.substr(0, 9) + "aaaaaaaaaaaaaaaa";
  EXPECT_EQ(ask("GET", "/api/v1/pair/" + wrong, key()).status, 404);
  EXPECT_EQ(ask("GET", "/api/v1/pair/" + code, {}).status, 401) << "the key is asked for here";
  EXPECT_EQ(ask("GET", "/api/v1/pair/" + code, {}, true).status, 404) << "and is no public page";
  EXPECT_EQ(ask("DELETE", "/api/v1/pair/" + code, key()).status, 204);
  EXPECT_EQ(ask("GET", "/api/v1/pair/" + code, key()).status, 404);
  EXPECT_EQ(ask("DELETE", "/api/v1/pair/" + code, key()).status, 404);
}

TEST_F(Dashboard, ADrainIsAskedFor) {
  bool asked = false;
  relay->on_drain_asked([&] { asked = true; });
  EXPECT_EQ(ask("POST", "/api/v1/drain").status, 401);
  EXPECT_FALSE(asked);
  EXPECT_EQ(ask("POST", "/api/v1/drain", key()).status, 202);
  EXPECT_TRUE(asked);
}

class PublicRegistration : public Dashboard {
 protected:
  void configure(Options& options) override {
    Dashboard::configure(options);
    options.public_registration = true;
    options.send_governor = false;
  }
};

TEST_F(PublicRegistration, FiveAnHourOfOneAddress) {
  std::string first;
  for (int i = 0; i < 5; ++i) {
    const Said said = ask("POST", "/api/v1/register", {}, true);
    ASSERT_EQ(said.status, 201) << said.text;
    first = said.object().at("token");
    EXPECT_THAT(said.object().at("name").get<std::string>(), testing::StartsWith("app-"));
  }
  const Said sixth = ask("POST", "/api/v1/register", {}, true);
  EXPECT_EQ(sixth.status, 429);
  EXPECT_THAT(sixth.body, HasSubstr("LEAT_REGISTER_LIMIT"));
  EXPECT_THAT(sixth.text, HasSubstr("Retry-After: 3600"));
  // Not by saying that one is somebody else.
  EXPECT_EQ(ask("POST", "/api/v1/register", "X-Forwarded-For: 192.0.2.1\r\n", true).status, 429);
  EXPECT_EQ(ask("POST", "/api/v1/register?name=first", {}, true).status, 400)
      << "names own tunnels, and strangers choose none";
  EXPECT_EQ(ask("GET", "/api/v1/tokens", key()).object().at("tokens").back().at("kind"), "app");
  token = Secret(first);
  EXPECT_TRUE(online({http()})->settled()) << "and the token is good";
}

TEST(HourlyLimit, CountsEachAndAll) {
  HourlyLimit limit(2, 3);
  const Time begin{};
  EXPECT_TRUE(limit.take("192.0.2.1", begin));
  EXPECT_TRUE(limit.take("192.0.2.1", begin));
  EXPECT_FALSE(limit.take("192.0.2.1", begin));
  EXPECT_TRUE(limit.take("192.0.2.2", begin + 1min));
  EXPECT_FALSE(limit.take("192.0.2.3", begin + 1min)) << "of all together";
  EXPECT_TRUE(limit.take("192.0.2.1", begin + 1h));
  EXPECT_TRUE(limit.take("192.0.2.3", begin + 1h));
  EXPECT_FALSE(limit.take("192.0.2.4", begin + 1h)) << "one is still of this hour";
}

TEST_F(PublicRegistration, OpensNothingElse) {
  for (const char* path : {"/api/v1/status", "/api/v1/tokens", "/api/v1/pair", "/api/v1/session"}) {
    EXPECT_EQ(ask("GET", path, key(), true).status, 404) << path;
  }
  EXPECT_EQ(ask("POST", "/api/v1/pair", key(), true).status, 404);
}

TEST_F(PublicRegistration, CodesAreNotGuessed) {
  const std::string code = ask("POST", "/api/v1/pair", key()).object().at("token");
  EXPECT_EQ(ask("GET", "/api/v1/pair/" + code, {}, true).object().at("state"), "waiting");
  // Five wrong secrets of one code end it …
  for (int i = 0; i < 5; ++i) {
    const std::string wrong = code.substr(0, 9) + "aaaaaaaaaaaaaaa" + static_cast<char>('a' + i);
    EXPECT_EQ(ask("GET", "/api/v1/pair/" + wrong, {}, true).status, 404);
  }
  EXPECT_EQ(ask("GET", "/api/v1/pair/" + code, {}, true).status, 404);
  // … and an address has so many tries.
  for (int i = 0; i < 5; ++i) ask("GET", "/api/v1/pair/aaaaaaaa-b", {}, true);
  EXPECT_EQ(ask("GET", "/api/v1/pair/" + code, {}, true).status, 429);
}

TEST_F(PublicRegistration, TheGovernorCanBeOff) {
  const auto agent = online({http()});
  const json governor = ask("GET", "/api/v1/agents", key()).object().at("agents")[0].at("governor");
  EXPECT_EQ(governor.at("mode"), "unbounded");
  EXPECT_EQ(governor.at("outstanding_cap"), nullptr);
}

class NoDashboard : public World {
 protected:
  void configure(Options& options) override { options.admin_listen = HostPort{"127.0.0.1", 0}; }
};

TEST_F(NoDashboard, WithoutAKeyThereIsNone) {
  Visitor client(loop, *relay->info().admin_listen, nullptr);
  client.get("/");
  ASSERT_TRUE(until([&] { return client.has("\r\n\r\n"); }));
  EXPECT_TRUE(client.has("HTTP/1.1 404 "));
}

}  // namespace
}  // namespace leat::relay
