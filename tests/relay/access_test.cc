// Visitors that show a credential, or none, or somebody else's; rules that change under them.
#include "relay/access.h"

#include <gtest/gtest.h>

#include "auth/signer.h"
#include "relay/world.h"
#include "support/captured.h"

namespace leat::relay {
namespace {

using control::VisitorPolicy;
using namespace std::chrono_literals;

const std::string kToken = "a-token-of-the-attic", kSecond = "a-second-token-of-mine";
const std::string kSecret(32, 'v');

VisitorPolicy::Named named(std::string name, const std::string& text) {
  return {std::move(name), sha256(as_bytes(text))};
}
VisitorPolicy tokens() { return {.tokens = {named("attic", kToken), named("phone", kSecond)}}; }
std::string jwk(const std::string& secret) {
  return R"({"kty":"oct","k":")" + auth::test::encode(secret) + "\"}";
}
std::string basic(const std::string& pair) { return "Basic " + base64(as_bytes(pair)); }

// --- the rules alone ---

class Rules : public ::testing::Test {
 protected:
  std::optional<Code> ask(const VisitorPolicy& policy, std::vector<http::Field> fields,
                          std::string target_text = "/", bool upgrade = false) {
    request = {};
    request.fields.all() = std::move(fields);
    request.upgrade = upgrade;
    target = std::move(target_text);
    grant = {.tunnel = door};
    return Access::make(policy).value()->admit(request, target, address, *tries, now, grant);
  }
  void expect_in(const VisitorPolicy& policy, std::vector<http::Field> fields,
                 const std::string& as) {
    EXPECT_EQ(ask(policy, std::move(fields)), std::nullopt) << as;
    EXPECT_EQ(grant.name, as);
  }

  http::Request request;
  std::string target, address = "192.0.2.1", door = "web";
  std::optional<Tries> tries{std::in_place};
  Time now{1h};
  Access::Grant grant;
};

TEST_F(Rules, ABearerTokenOpensAndStaysHere) {
  expect_in(tokens(), {{"Authorization", "Bearer " + kToken}, {"Accept", "*/*"}}, "attic");
  EXPECT_EQ(request.fields.count("Authorization"), 0u) << "not the service's business";
  EXPECT_EQ(request.fields.count("Accept"), 1u);
  expect_in(tokens(), {{"authorization", "bearer  " + kSecond}}, "phone");
}

TEST_F(Rules, WhatIsWrongIsAnsweredLikeWhatIsMissing) {
  for (const std::string& value :
       {std::string(), std::string("Bearer"), std::string("Bearer "), kToken,
        "Bearer " + kToken + "x", "Bearer " + kToken.substr(1), "Basic " + kToken,
        "Bearer " + kToken + ", Bearer x", "Digest " + kToken, "Bearer \"" + kToken + "\""}) {
    tries.emplace();
    EXPECT_EQ(ask(tokens(), {{"Authorization", value}}), Code::VISITOR_REFUSED) << value;
  }
  EXPECT_EQ(ask(tokens(), {}), Code::VISITOR_REFUSED);
  EXPECT_EQ(ask(tokens(), {{"Authorization", "Bearer " + kToken}, {"Authorization", "Bearer x"}}),
            Code::VISITOR_REFUSED)
      << "two readers could take different ones";
}

TEST_F(Rules, TheServiceMayHaveAnAuthorizationOfItsOwn) {
  expect_in(tokens(),
            {{"Authorization", "Bearer sk-service"}, {"Leat-Authorization", "Bearer " + kToken}},
            "attic");
  EXPECT_EQ(*request.fields.find("Authorization"), "Bearer sk-service");
  EXPECT_EQ(request.fields.count("Leat-Authorization"), 0u);
  EXPECT_EQ(
      ask(tokens(), {{"Authorization", "Bearer " + kToken}, {"Leat-Authorization", "Bearer no"}}),
      Code::VISITOR_REFUSED);
}

TEST_F(Rules, UsersAndPasswords) {
  const VisitorPolicy policy{
      .users = {named("ann", "ann:correct horse"), named("bob", "bob:b:colon")}};
  expect_in(policy, {{"Authorization", basic("ann:correct horse")}}, "ann");
  expect_in(policy, {{"Authorization", basic("bob:b:colon")}}, "bob");
  for (const char* pair : {"ann:", "ann:wrong", "bob:correct horse", "ann", ":correct horse"}) {
    tries.emplace();
    EXPECT_EQ(ask(policy, {{"Authorization", basic(pair)}}), Code::VISITOR_REFUSED) << pair;
  }
  EXPECT_EQ(Access::make(policy).value()->challenge(),
            "WWW-Authenticate: Basic realm=\"leat\", charset=\"UTF-8\"\r\n");
}

TEST_F(Rules, Jwts) {
  const VisitorPolicy policy{.jwt_keys = Secret(kSecret), .jwt_audience = "notes"};
  const auto jwt = [](const std::string& audience, const std::string& secret) {
    const auto later = std::chrono::system_clock::now().time_since_epoch() + 1h;
    return auth::test::Signer::hmac(secret).sign(
        R"({"sub":"carl","aud":")" + audience + R"(","exp":)" +
        std::to_string(std::chrono::floor<std::chrono::seconds>(later).count()) + "}");
  };
  expect_in(policy, {{"Authorization", "Bearer " + jwt("notes", kSecret)}}, "jwt:carl");
  EXPECT_EQ(ask(policy, {{"Authorization", "Bearer " + jwt("other", kSecret)}}),
            Code::VISITOR_REFUSED);
  EXPECT_EQ(ask(policy, {{"Authorization", "Bearer " + jwt("notes", std::string(32, 'x'))}}),
            Code::VISITOR_REFUSED);
}

TEST_F(Rules, WebSocketsOfBrowsers) {
  EXPECT_EQ(ask(tokens(), {{"Sec-WebSocket-Protocol", "chat, leat.token." + kToken}}, "/", true),
            std::nullopt);
  EXPECT_EQ(*request.fields.find("Sec-WebSocket-Protocol"), "chat");
  EXPECT_EQ(grant.subprotocol.reveal(), "leat.token." + kToken);
  EXPECT_EQ(
      ask(tokens(), {{"Sec-WebSocket-Protocol", "leat.token." + kToken}, {"Authorization", "x"}},
          "/", true),
      std::nullopt);
  EXPECT_EQ(request.fields.count("Sec-WebSocket-Protocol"), 0u);
  EXPECT_EQ(request.fields.count("Authorization"), 1u);

  EXPECT_EQ(ask(tokens(), {}, "/ws?a=1&leat_token=" + kToken + "&b=2", true), std::nullopt);
  EXPECT_EQ(target, "/ws?a=1&b=2");
  EXPECT_EQ(ask(tokens(), {}, "/ws?leat_token=" + kToken, true), std::nullopt);
  EXPECT_EQ(target, "/ws");
  // Only there: an address with a token in it is copied about.
  EXPECT_EQ(ask(tokens(), {}, "/?leat_token=" + kToken), Code::VISITOR_REFUSED);
  EXPECT_EQ(ask(tokens(), {}, "/ws?leat_token=" + kToken + "&leat_token=" + kToken, true),
            Code::VISITOR_REFUSED);
  EXPECT_EQ(ask(tokens(), {}, "/ws?xleat_token=" + kToken, true), Code::VISITOR_REFUSED);
}

TEST_F(Rules, NetworksAloneAndTogetherWithTokens) {
  const VisitorPolicy networks{.allow = {"192.0.2.0/28", "2001:db8::/32"}};
  EXPECT_EQ(ask(networks, {{"Authorization", "Bearer x"}}), std::nullopt);
  EXPECT_EQ(request.fields.count("Authorization"), 1u) << "not ours where we ask for nothing";
  address = "192.0.2.16";
  EXPECT_EQ(ask(networks, {}), Code::ADDRESS_REFUSED);
  VisitorPolicy both = tokens();
  both.allow = {"192.0.2.0/28"};
  EXPECT_EQ(ask(both, {{"Authorization", "Bearer " + kToken}}), Code::ADDRESS_REFUSED);
  address = "192.0.2.15";
  EXPECT_EQ(ask(both, {{"Authorization", "Bearer " + kToken}}), std::nullopt);
  EXPECT_EQ(ask(both, {}), Code::VISITOR_REFUSED);
  EXPECT_EQ(Access::make({.allow = {"10.0.0.1/8"}}).error().code, Code::BAD_POLICY);
}

TEST_F(Rules, GuessingIsSlow) {
  const VisitorPolicy policy{.users = {named("ann", "ann:correct horse")}};
  const auto show = [&](const std::string& pair) {
    return ask(policy, {{"Authorization", basic(pair)}});
  };
  const auto guess = [&] { return show("ann:no"); };
  for (int i = 0; i < 10; ++i) EXPECT_EQ(guess(), Code::VISITOR_REFUSED) << i;
  EXPECT_EQ(guess(), Code::TOO_MANY_TRIES);
  EXPECT_EQ(show("ann:correct horse"), Code::TOO_MANY_TRIES)
      << "or the right one would be told apart";
  now += 6s;
  EXPECT_EQ(guess(), Code::VISITOR_REFUSED);
  EXPECT_EQ(guess(), Code::TOO_MANY_TRIES);
  address = "192.0.2.2";
  EXPECT_EQ(guess(), Code::VISITOR_REFUSED);
  // Who shows nothing has tried nothing: that is how a browser begins.
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ask(policy, {}), Code::VISITOR_REFUSED);
  // A customer's IPv6 addresses are countless.
  for (int i = 0; i < 10; ++i) {
    address = "2001:db8::" + std::to_string(i);
    EXPECT_EQ(guess(), Code::VISITOR_REFUSED);
  }
  address = "2001:db8::ffff";
  EXPECT_EQ(guess(), Code::TOO_MANY_TRIES);
}

// One address is many people's: a network's, a proxy's, and a browser's with all the pages in it.
TEST_F(Rules, NobodyIsShutOutByWhatOthersHaveTried) {
  VisitorPolicy policy = tokens();
  policy.users = {named("ann", "ann:correct horse")};
  policy.jwt_keys = Secret(kSecret);
  const auto later = std::chrono::system_clock::now().time_since_epoch() + 1h;
  const std::string jwt = auth::test::Signer::hmac(kSecret).sign(
      R"({"sub":"carl","exp":)" +
      std::to_string(std::chrono::floor<std::chrono::seconds>(later).count()) + "}");
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(ask(policy, {{"Authorization", "Bearer no"}}), Code::VISITOR_REFUSED);
  }
  EXPECT_EQ(ask(policy, {{"Authorization", "Bearer no"}}), Code::TOO_MANY_TRIES);
  expect_in(policy, {{"Authorization", "Bearer " + kToken}}, "attic");
  expect_in(policy, {{"Authorization", "Bearer " + jwt}}, "jwt:carl");
  expect_in(policy, {{"Authorization", basic("ann:correct horse")}}, "ann");
  for (int i = 0; i < 10; ++i) ask(policy, {{"Authorization", basic("ann:no")}});
  EXPECT_EQ(ask(policy, {{"Authorization", basic("ann:correct horse")}}), Code::TOO_MANY_TRIES);
  expect_in(policy, {{"Authorization", "Bearer " + kToken}}, "attic");
  door = "another";
  expect_in(policy, {{"Authorization", basic("ann:correct horse")}}, "ann");
}

TEST_F(Rules, GuessingAtOneTunnelShutsNobodyOutOfAnother) {
  const auto access = Access::make(tokens()).value();
  const auto show = [&](const std::string& tunnel, const std::string& token) {
    http::Request asked;
    asked.fields.add("Authorization", "Bearer " + token);
    std::string path = "/";
    Access::Grant given{.tunnel = tunnel};
    return access->admit(asked, path, address, *tries, now, given);
  };
  for (int i = 0; i < 20; ++i) show("one", "no");
  EXPECT_EQ(show("one", "no"), Code::TOO_MANY_TRIES);
  EXPECT_EQ(show("two", kToken), std::nullopt);
}

TEST_F(Rules, AJwtLetsInAsLongAsItsKeyIsThere) {
  const VisitorPolicy policy{.jwt_keys = Secret(kSecret)};
  const auto end = std::chrono::floor<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch() + 1h);
  const std::string jwt = auth::test::Signer::hmac(kSecret).sign(R"({"sub":"carl","exp":)" +
                                                                 std::to_string(end.count()) + "}");
  expect_in(policy, {{"Authorization", "Bearer " + jwt}}, "jwt:carl");
  EXPECT_EQ(grant.until, end + 60s);
  EXPECT_TRUE(Access::make(policy).value()->still_grants(grant));
  const VisitorPolicy rotated{.jwt_keys = Secret(std::string(32, 'w'))};
  EXPECT_FALSE(Access::make(rotated).value()->still_grants(grant));
}

TEST_F(Rules, MemoryForTriesIsBounded) {
  for (int i = 0; i < 20'000; ++i) {
    tries->failed("bearer web", std::to_string(i / 256) + ".0.2." + std::to_string(i % 256), now);
  }
  address = "203.0.113.1";
  EXPECT_EQ(ask(tokens(), {{"Authorization", "Bearer no"}}), Code::VISITOR_REFUSED);
}

// --- through the relay ---

class Doors : public World {
 protected:
  static control::TunnelRequest guarded(VisitorPolicy policy, std::string id = "web") {
    control::TunnelRequest request = http(std::move(id));
    request.is_public = false;
    request.visitors = std::move(policy);
    return request;
  }
};

TEST_F(Doors, OnlyWhoHasTheTokenGetsIn) {
  const auto agent = online({guarded(tokens())});
  ASSERT_TRUE(agent->refused().empty()) << "a name of one's choice, not public, but guarded";
  answer_all(*agent, kHello);
  const auto stranger = visitor();
  stranger->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return stranger->has("LEAT_VISITOR_REFUSED") || stranger->over(); }));
  EXPECT_TRUE(stranger->has("HTTP/1.1 401 "));
  EXPECT_TRUE(stranger->has("WWW-Authenticate: Bearer realm=\"leat\"\r\n"));
  EXPECT_TRUE(agent->streams.empty()) << "strangers do not reach the agent";
  // The connection goes on, and each request is asked anew.
  stranger->forget().get("/tunnel/web/", "Authorization: Bearer " + kToken + "\r\n");
  ASSERT_TRUE(until([&] { return stranger->has("hello") || stranger->over(); }));
  EXPECT_FALSE(agent->streams.back()->has(kToken));
  stranger->forget().get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return stranger->has("LEAT_VISITOR_REFUSED") || stranger->over(); }));
}

TEST_F(Doors, ATokenInTheQueryOfAWebSocketIsNotPassedOn) {
  const auto agent = online({guarded(tokens())});
  agent->on_served = [](Served&) {};
  const std::string upgrade =
      "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const auto guest = visitor();
  guest->get("/tunnel/web/ws?a=1&leat_token=" + kToken + "&b=2", upgrade);
  ASSERT_TRUE(
      until([&] { return !agent->streams.empty() && agent->streams.front()->has("\r\n\r\n"); }));
  const Served& served = *agent->streams.front();
  EXPECT_TRUE(served.has("GET /ws?a=1&b=2 HTTP/1.1\r\n")) << served.text();
  EXPECT_FALSE(served.has(kToken));
}

class DoorsByName : public Doors {
  void configure(Options& options) override { options.domain = "relay.test"; }
};

TEST_F(DoorsByName, AHostOfItsOwnNeedsToBePublicOrGuardedLikeAnId) {
  std::vector<control::TunnelRequest> tunnels = {guarded(tokens()), guarded({}, ""),
                                                 guarded({.allow = {"192.0.2.0/24"}}, "")};
  for (std::size_t i = 0; i < tunnels.size(); ++i) {
    tunnels[i].hosts = {"web" + std::to_string(i) + ".example.com"};
  }
  const auto agent = online(std::move(tunnels));
  ASSERT_EQ(agent->bound().count(0), 1u);
  ASSERT_EQ(agent->refused().size(), 2u);
  for (const auto& [request, why] : agent->refused()) EXPECT_EQ(why.code, Code::NAME_IS_PUBLIC);
  answer_all(*agent, kHello);
  const auto guest = plain_visitor();
  const std::string head = "GET / HTTP/1.1\r\nHost: web0.example.com\r\n";
  guest->send(head + "\r\n");
  ASSERT_TRUE(until([&] { return guest->has("LEAT_VISITOR_REFUSED") || guest->over(); }));
  guest->forget().send(head + "Authorization: Bearer " + kToken + "\r\n\r\n");
  ASSERT_TRUE(until([&] { return guest->has("hello") || guest->over(); }));
}

TEST_F(Doors, PagesOfAllowedOriginsMayComeWithACredential) {
  control::TunnelRequest request = guarded(tokens());
  request.cors = {"https://page.test"};
  const auto agent = online({request});
  answer_all(*agent, kHello);
  const auto browser = visitor();
  const std::string page = "Origin: https://page.test\r\n";
  const std::string asks =
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n";
  const auto ask = [&](const std::string& method, const std::string& fields) {
    browser->forget().send(method + " /tunnel/web/ HTTP/1.1\r\nHost: relay.test\r\n" + fields +
                           "\r\n");
    EXPECT_TRUE(until([&] { return browser->has("\r\n\r\n") || browser->over(); }));
    return browser->text().substr(9, 3);
  };
  EXPECT_EQ(ask("OPTIONS", page + asks), "204");
  EXPECT_TRUE(browser->has("Access-Control-Allow-Origin: https://page.test\r\n"));
  EXPECT_TRUE(browser->has("Access-Control-Allow-Headers: authorization\r\n"));
  EXPECT_TRUE(agent->streams.empty()) << "strangers do not reach the agent";
  EXPECT_EQ(ask("GET", page), "401");
  EXPECT_TRUE(browser->has("Access-Control-Allow-Origin: https://page.test\r\n"));
  EXPECT_EQ(ask("OPTIONS", page), "401") << "no preflight";
  EXPECT_EQ(ask("OPTIONS", "Origin: https://evil.test\r\n" + asks), "401");
  EXPECT_FALSE(browser->has("Access-Control-"));
  EXPECT_EQ(ask("GET", page + "Authorization: Bearer " + kToken + "\r\n"), "200");
}

TEST_F(Doors, GuessesAtOneTunnelShutNobodyOutOfAnother) {
  const VisitorPolicy policy{.users = {named("ann", "ann:correct horse")}};
  const auto agent = online({guarded(policy), guarded(policy, "other")});
  answer_all(*agent, kHello);
  const auto guest = visitor();
  const auto show = [&](const std::string& target, const std::string& pair) {
    guest->forget().get(target, "Authorization: " + basic(pair) + "\r\n");
    EXPECT_TRUE(until([&] { return guest->has("LEAT_") || guest->has("hello"); }));
    return guest->text().substr(9, 3);
  };
  for (int i = 0; i < 10; ++i) EXPECT_EQ(show("/tunnel/web/", "ann:no"), "401");
  EXPECT_EQ(show("/tunnel/web/", "ann:correct horse"), "429");
  EXPECT_EQ(show("/tunnel/other/", "ann:correct horse"), "200");
}

TEST_F(Doors, APlainDoorOnThisMachineWithoutATrustedProxyIsWarnedOf) {
  constexpr char kWarning[] =
      "the proxy in front of plain_listen is taken for every visitor: trusted_proxies names it";
  const auto warned = [&](std::optional<HostPort> plain, std::vector<Cidr> trusted) {
    test::TempDir state;
    Options options;
    options.listen = {"127.0.0.1", 0};
    options.plain_listen = std::move(plain);
    options.trusted_proxies = std::move(trusted);
    options.state_dir = state.path();
    const test::Captured log(log::Format::json);
    EXPECT_TRUE(Relay::start(loop.shard, options));
    return !log.events(kWarning).empty();
  };
  const HostPort here{"127.0.0.1", 0};
  EXPECT_TRUE(warned(here, {}));
  EXPECT_FALSE(warned(here, {Cidr::parse("127.0.0.1").value()}));
  EXPECT_FALSE(warned(std::nullopt, {}));
}

TEST_F(Doors, APathThatOnlyLooksDifferentIsGuardedToo) {
  const auto agent = online({guarded(tokens())});
  answer_all(*agent, kHello);
  for (const char* target :
       {"/tunnel/web/../web/", "/tunnel/%77eb/", "/t/web/", "/tunnel/web/?x=/t/open/",
        "/tunnel/web//", "/tunnel/web/%2e%2e/web/x"}) {
    const auto stranger = visitor();
    stranger->get(target);
    ASSERT_TRUE(until([&] { return stranger->has("LEAT_") || stranger->over(); })) << target;
  }
  EXPECT_TRUE(agent->streams.empty());
}

TEST_F(Doors, ATokenTakenBackCutsWhoCameWithIt) {
  const auto agent = online({guarded(tokens())});
  agent->on_served = [](Served& served) {
    if (served.has("\r\n\r\n") && served.unsent() == 0) {
      served.reply().send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun");
    }
  };
  const auto first = visitor(), second = visitor();
  first->get("/tunnel/web/", "Authorization: Bearer " + kToken + "\r\n");
  second->get("/tunnel/web/", "Authorization: Bearer " + kSecond + "\r\n");
  ASSERT_TRUE(until([&] { return first->has("begun") && second->has("begun"); }));
  agent->control().bind(0, guarded({.tokens = {named("phone", kSecond)}}));
  agent->wake();
  ASSERT_TRUE(until([&] { return first->over(); }, 1s));
  EXPECT_TRUE(first->failed()) << "cut, not ended";
  EXPECT_FALSE(second->over());
  const auto again = visitor();
  again->get("/tunnel/web/", "Authorization: Bearer " + kToken + "\r\n");
  ASSERT_TRUE(until([&] { return again->has("LEAT_VISITOR_REFUSED") || again->over(); }));
}

std::string jwt_for(std::chrono::seconds life) {
  const auto end = std::chrono::system_clock::now().time_since_epoch() + life;
  return auth::test::Signer::hmac(kSecret).sign(
      R"({"sub":"carl","exp":)" +
      std::to_string(std::chrono::floor<std::chrono::seconds>(end).count()) + "}");
}

TEST_F(Doors, AJwtEndsWithItsTimeAndWithItsKey) {
  const auto agent = online({guarded({.jwt_keys = Secret(kSecret)})});
  agent->on_served = [](Served& served) {
    if (served.has("\r\n\r\n") && served.unsent() == 0) {
      served.reply().send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun");
    }
  };
  // 60 s of leeway: one that ran out 58 s ago has two seconds left.
  const auto brief = visitor(), lasting = visitor();
  brief->get("/tunnel/web/", "Authorization: Bearer " + jwt_for(-58s) + "\r\n");
  lasting->get("/tunnel/web/", "Authorization: Bearer " + jwt_for(1h) + "\r\n");
  ASSERT_TRUE(until([&] { return brief->has("begun") && lasting->has("begun"); }));
  ASSERT_TRUE(until([&] { return brief->over(); }, 5s));
  EXPECT_TRUE(brief->failed()) << "cut, not ended";
  EXPECT_FALSE(lasting->over());

  const std::string other(32, 'w');
  agent->control().bind(
      0, guarded({.jwt_keys = Secret("{\"keys\":[" + jwk(other) + "," + jwk(kSecret) + "]}")}));
  agent->wake();
  pass(50ms);
  EXPECT_FALSE(lasting->over()) << "its key is still one of them";
  agent->control().bind(0, guarded({.jwt_keys = Secret(other)}));
  agent->wake();
  ASSERT_TRUE(until([&] { return lasting->over(); }, 1s));
  EXPECT_TRUE(lasting->failed());
}

TEST_F(Doors, AWebSocketIsToldTheSubprotocolItsTokenCameIn) {
  const auto agent = online({guarded(tokens())});
  answer_all(
      *agent,
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
  const auto browser = visitor();
  browser->get("/tunnel/web/",
               "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               "Sec-WebSocket-Protocol: leat.token." +
                   kToken + "\r\n");
  ASSERT_TRUE(until([&] { return browser->has("\r\n\r\n") || browser->over(); }));
  EXPECT_TRUE(browser->has("101")) << browser->text();
  EXPECT_TRUE(browser->has("Sec-WebSocket-Protocol: leat.token." + kToken)) << browser->text();
  EXPECT_FALSE(agent->streams.back()->has(kToken));
}

TEST_F(Doors, TcpKnowsNetworks) {
  auto request = tcp();
  request.visitors.allow = {"192.0.2.0/24"};
  const auto agent = online({request});
  const std::uint16_t port = agent->bound().at(0).remote_port;
  const auto stranger = tcp_visitor(port);
  ASSERT_TRUE(until([&] { return stranger->over(); }));
  EXPECT_TRUE(agent->streams.empty());
  request.visitors.allow = {"127.0.0.0/8"};
  agent->control().bind(0, request);
  agent->wake();
  pass(50ms);
  const auto known = tcp_visitor(agent->bound().at(0).remote_port);
  ASSERT_TRUE(until([&] { return !agent->streams.empty(); }));
  EXPECT_FALSE(known->over());
  request.visitors.allow = {"192.0.2.0/24"};
  agent->control().bind(0, request);
  agent->wake();
  EXPECT_TRUE(until([&] { return known->over(); }, 1s)) << "cut when the rule changed";
  // What tcp cannot ask for is refused, not left out.
  request.visitors = tokens();
  agent->control().bind(0, request);
  agent->wake();
  ASSERT_TRUE(until([&] { return !agent->refused().empty(); }));
  EXPECT_EQ(agent->refused().at(0).code, Code::BAD_POLICY);
}

}  // namespace
}  // namespace leat::relay
