// Agents that come with JWTs and join codes, and what ends their sessions (threats 29 to 31).
#include <gtest/gtest.h>

#include <filesystem>
#include <initializer_list>

#include "auth/signer.h"
#include "base/crypto_util.h"
#include "base/file.h"
#include "relay/world.h"
#include "store/store.h"
#include "support/captured.h"

namespace leat::relay {
namespace {

using control::Credential;
using namespace std::chrono_literals;

const std::string kSecret(32, 'k');

class Admissions : public World {
 protected:
  void configure(Options& of_relay) override {
    of_relay.jwt_keys = dir / "keys";
    of_relay.jwt_audience = "relay";
    options = of_relay;
    write_keys(kSecret);
  }
  void write_keys(const std::string& text) {
    ASSERT_TRUE(write_file(dir / "keys", text, 0600, Code::KEY_FILE));
  }
  static std::string jwks(std::initializer_list<std::string> secrets) {
    std::string list;
    for (const std::string& secret : secrets) {
      list += (list.empty() ? R"({"kty":"oct","k":")" : R"(,{"kty":"oct","k":")") +
              base64url(as_bytes(secret)) + "\"}";
    }
    return R"({"keys":[)" + list + "]}";
  }

  static std::int64_t in(std::chrono::seconds from_now) {
    return std::chrono::floor<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch() + from_now)
        .count();
  }
  static std::string claims(const std::string& subject, std::chrono::seconds life = 1h,
                            const std::string& more = {}) {
    return R"({"aud":"relay","sub":")" + subject + R"(","exp":)" + std::to_string(in(life)) + more +
           "}";
  }
  static Secret jwt(const std::string& payload, const std::string& secret = kSecret) {
    return Secret(auth::test::Signer::hmac(secret).sign(payload));
  }

  std::unique_ptr<FakeAgent> come(Credential credential,
                                  std::vector<control::TunnelRequest> tunnels = {},
                                  const SigningKey* key = nullptr) {
    auto made = std::make_unique<FakeAgent>(
        loop, FakeAgent::Settings{relay->info().listen, *agent_tls, key ? *key : *identity,
                                  std::move(credential), std::move(tunnels)});
    EXPECT_TRUE(until(
        [&] { return made->ended() || (!made->credential_name.empty() && made->settled()); }));
    return made;
  }
  void expect_refused(const FakeAgent& agent, Code code) {
    ASSERT_TRUE(agent.ended());
    EXPECT_EQ(agent.why().code, code) << agent.why().text();
    EXPECT_TRUE(agent.bound().empty());
  }
  std::unique_ptr<store::Store> store() { return store::Store::open(dir / "leat.db").value(); }

  Options options;
};

TEST_F(Admissions, AJwtIsAnOwner) {
  auto alice = come(jwt(claims("alice")), {http("notes")});
  EXPECT_EQ(alice->credential_name, "jwt:alice");
  ASSERT_EQ(alice->bound().size(), 1u);
  answer_all(*alice, kHello);
  expect_served("notes");

  const SigningKey key = SigningKey::generate();
  const auto bob = come(jwt(claims("bob")), {http("notes")}, &key);
  EXPECT_EQ(bob->refused().at(0).code, Code::TUNNEL_TAKEN);
  // The same owner on another machine, with another token.
  alice.reset();
  const auto again = come(jwt(claims("alice", 2h)), {http("notes")}, &key);
  EXPECT_EQ(again->bound().size(), 1u);
}

TEST_F(Admissions, BadJwtsAreRefused) {
  expect_refused(*come(jwt(claims("a"), std::string(32, 'x')), {http()}), Code::BAD_JWT);
  expect_refused(*come(jwt(claims("a", -1h)), {http()}), Code::JWT_EXPIRED);
  expect_refused(*come(jwt(R"({"sub":"a","aud":"other","exp":)" + std::to_string(in(1h)) + "}")),
                 Code::BAD_JWT);
  const std::string none =
      auth::test::encode(R"({"alg":"none"})") + "." + auth::test::encode(claims("a")) + ".";
  expect_refused(*come(Secret(none), {http()}), Code::BAD_JWT);
  // The right form, sent where a token belongs.
  Credential disguised = jwt(claims("a"));
  disguised.kind = Credential::Kind::token;
  expect_refused(*come(disguised), Code::BAD_TOKEN);
}

TEST_F(Admissions, ItsSessionEndsWhenTheJwtDoes) {
  // 60 s of leeway: one that ran out 55 s ago has 4 to 5 seconds left.
  const auto agent = come(jwt(claims("alice", -55s)), {http()});
  EXPECT_EQ(agent->bound().size(), 1u);
  ASSERT_TRUE(until([&] { return agent->ended(); }));
  EXPECT_EQ(agent->why().code, Code::JWT_EXPIRED);
}

// What issuers write for "never" is more nanoseconds than 64 bits count.
TEST_F(Admissions, AJwtMayBeGoodForThousandsOfYears) {
  for (const std::int64_t end : {std::int64_t{253402300799}, in(1s) + 10'000'000'000}) {
    const std::string text = R"({"aud":"relay","sub":"alice","exp":)" + std::to_string(end) + "}";
    const auto agent = come(jwt(text), {http()});
    ASSERT_EQ(agent->bound().size(), 1u);
    answer_all(*agent, kHello);
    expect_served();
    EXPECT_FALSE(agent->ended()) << agent->why().text();
  }
}

TEST_F(Admissions, AJwtMayEndInManyYears) {
  const auto agent =
      come(jwt(R"({"aud":"relay","sub":"alice","exp":253402300799})"), {http()});  // 9999-12-31
  EXPECT_EQ(agent->bound().size(), 1u);
  pass(50ms);
  EXPECT_FALSE(agent->ended());
}

TEST_F(Admissions, APlanThatIsNotThereIsNoPlan) {
  EXPECT_FALSE(come(jwt(claims("alice", 1h, R"(,"plan":"gold")")))->ended()) << "there is none";
  relay->set_plans({{Plan{.name = "pro"}}, {}});
  expect_refused(*come(jwt(claims("alice", 1h, R"(,"plan":"gold")"))), Code::BAD_JWT);
  EXPECT_FALSE(come(jwt(claims("alice", 1h, R"(,"plan":"pro")")))->ended());
}

TEST_F(Admissions, WhoLosesAPlanIsNamed) {
  relay->set_plans({{Plan{.name = "free"}, Plan{.name = "pro"}}, "free"});
  ASSERT_TRUE(store()->create_token("ann", "pro"));
  ASSERT_TRUE(store()->create_token("bob", "free"));
  const test::Captured captured(log::Format::json);
  relay->set_plans({{Plan{.name = "free"}, Plan{.name = "team"}}, "free"});
  const auto warned = captured.events("a plan is gone");
  ASSERT_EQ(warned.size(), 1u);
  EXPECT_EQ(warned[0].at("plan"), "pro");
  EXPECT_EQ(warned[0].at("named"), "ann");
  EXPECT_EQ(warned[0].at("now"), "free");
}

TEST_F(Admissions, ItsClaimsSayWhichTunnels) {
  const auto agent =
      come(jwt(claims("alice", 1h, R"(,"tunnels":["chat","lab-*"])")),
           {http("chat"), http("lab-1"), http("other"), {"", control::TunnelKind::http, false, 0}});
  EXPECT_EQ(agent->bound().size(), 2u);
  EXPECT_EQ(agent->refused().at(2).code, Code::TUNNEL_REFUSED);
  EXPECT_EQ(agent->refused().at(3).code, Code::TUNNEL_REFUSED) << "a made id is none of those";
}

TEST_F(Admissions, ItsClaimsSayWhichHosts) {
  const auto named = [](std::string id, std::vector<std::string> hosts) {
    control::TunnelRequest request{std::move(id), control::TunnelKind::tls, false, 0};
    request.hosts = std::move(hosts);
    return request;
  };
  const auto agent = come(jwt(claims("alice", 1h, R"(,"tunnels":["web*","www.alice.example"])")),
                          {named("web", {"www.alice.example"}),
                           named("web2", {"www.alice.example", "www.someone-else.example"}),
                           named("web3", {"web3.example"})});
  EXPECT_EQ(agent->bound().count(0), 1u);
  ASSERT_EQ(agent->refused().size(), 2u);
  EXPECT_EQ(agent->refused().at(1).code, Code::TUNNEL_REFUSED);
  EXPECT_EQ(agent->refused().at(2).code, Code::TUNNEL_REFUSED);
  EXPECT_FALSE(store()->is_owned("www.someone-else.example").value());
  EXPECT_FALSE(store()->is_owned("web2").value());
  EXPECT_EQ(come(jwt(claims("alice", 1h, R"(,"tunnels":["*"])")),
                 {named("web2", {"www.someone-else.example"})})
                ->bound()
                .size(),
            1u);
}

TEST_F(Admissions, KeysRotate) {
  const std::string next(32, 'n');
  expect_refused(*come(jwt(claims("alice"), next)), Code::BAD_JWT);
  write_keys("short");
  EXPECT_FALSE(relay->reload_keys());
  write_keys("[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" + std::string(43, 'A') + "\"}]");
  EXPECT_FALSE(relay->reload_keys()) << "a public text that was not understood is no secret";
  const auto old = come(jwt(claims("alice")), {http()});
  EXPECT_FALSE(old->ended()) << "the old ones stay";
  write_keys(next);
  {
    const test::Captured log(log::Format::json);
    ASSERT_TRUE(relay->reload_keys());
    ASSERT_EQ(log.events("jwt keys").size(), 1u);
    EXPECT_EQ(log.events("jwt keys").front().at("are"), "HS256") << "what was understood";
  }
  ASSERT_TRUE(until([&] { return old->ended(); })) << "whom no key vouches for any more is out";
  EXPECT_EQ(old->why().code, Code::BAD_JWT);
  EXPECT_FALSE(come(jwt(claims("alice"), next))->ended());
  expect_refused(*come(jwt(claims("alice"))), Code::BAD_JWT);
}

TEST_F(Admissions, AKeyThatStaysEndsNoSession) {
  const std::string next(32, 'n');
  const SigningKey key = SigningKey::generate();
  const auto agent = come(jwt(claims("alice")), {http()});
  write_keys(jwks({next, kSecret}));
  ASSERT_TRUE(relay->reload_keys());
  EXPECT_FALSE(come(jwt(claims("bob"), next), {}, &key)->ended());
  EXPECT_FALSE(agent->ended());
}

TEST_F(Admissions, AReloadThatFailsEndsNoSession) {
  const auto agent = come(jwt(claims("alice")), {http()});
  ASSERT_EQ(agent->bound().size(), 1u);
  const std::string next(32, 'n');
  write_keys(next);
  const std::string state = dir / "relay.json";
  std::filesystem::remove(state);
  std::filesystem::create_directories(state + "/in the way");
  const auto reloaded = relay->reload(options);
  ASSERT_FALSE(reloaded);
  EXPECT_EQ(reloaded.error().code, Code::STATE_DIR);
  const SigningKey key = SigningKey::generate();
  expect_refused(*come(jwt(claims("bob"), next), {}, &key), Code::BAD_JWT);
  EXPECT_FALSE(agent->ended()) << "the keys are the old ones";
  std::filesystem::remove_all(state);
  ASSERT_TRUE(relay->reload(options));
  EXPECT_TRUE(until([&] { return agent->ended(); }));
}

TEST_F(Admissions, ABareAgentMayComeWithAJwtToo) {
  const auto bare = [&](const std::string& room, const Secret& credential) {
    auto made = visitor();
    made->get("/agent?room=" + room,
              "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer " +
                  std::string(credential.reveal()) + "\r\n");
    EXPECT_TRUE(until([&] { return made->has("\r\n\r\n"); }));
    return made;
  };
  const std::string next(32, 'n');
  const Secret alice = jwt(claims("alice", 1h, R"(,"tunnels":["den"])"));
  const auto refused = [&](const std::string& room, const Secret& credential, const char* code) {
    const auto made = bare(room, credential);
    return until([&] { return made->has(code) || made->over(); }) && made->has(code);
  };
  EXPECT_TRUE(refused("den", jwt(claims("alice"), next), "LEAT_BAD_JWT"));
  EXPECT_TRUE(refused("den", jwt(claims("alice", -1h)), "LEAT_JWT_EXPIRED"));
  EXPECT_TRUE(refused("attic", alice, "LEAT_TUNNEL_REFUSED"));
  const std::string other = R"({"sub":"alice","aud":"other","exp":)" + std::to_string(in(1h)) + "}";
  EXPECT_TRUE(refused("den", jwt(other), "LEAT_BAD_JWT"));
  relay->set_plans({{Plan{.name = "pro"}}, {}});
  EXPECT_TRUE(refused("den", jwt(claims("alice", 1h, R"(,"plan":"gold")")), "LEAT_BAD_JWT"));
  relay->set_plans({});
  EXPECT_EQ(bare("cell", jwt(claims("carol")))->text().substr(0, 13), "HTTP/1.1 101 ");
  ASSERT_TRUE(store()->revoke_token("jwt:carol"));
  EXPECT_TRUE(refused("cell", jwt(claims("carol", 2h)), "LEAT_REVOKED"));
  const auto agent = bare("den", alice);
  ASSERT_TRUE(agent->has("HTTP/1.1 101 ")) << agent->text();
  EXPECT_TRUE(refused("den", jwt(claims("bob")), "LEAT_TUNNEL_TAKEN"));
  const auto brief = bare("den", jwt(claims("alice", -55s)));
  ASSERT_TRUE(brief->has("HTTP/1.1 101 ")) << brief->text();
  ASSERT_TRUE(until([&] { return brief->over(); })) << "with its JWT";
  EXPECT_FALSE(agent->over());
  write_keys(jwks({next, kSecret}));
  ASSERT_TRUE(relay->reload_keys());
  // Whoever is to be cut is so before anybody who comes later is answered.
  EXPECT_TRUE(refused("attic", alice, "LEAT_TUNNEL_REFUSED"));
  EXPECT_FALSE(agent->over()) << "its key stayed";
  write_keys(next);
  ASSERT_TRUE(relay->reload_keys());
  ASSERT_TRUE(until([&] { return agent->over(); }));
  EXPECT_TRUE(refused("den", alice, "LEAT_BAD_JWT"));
}

TEST_F(Admissions, ARevokedSubjectIsOutWithinASecondAndStaysOut) {
  const auto agent = come(jwt(claims("alice")), {http()});
  ASSERT_EQ(agent->bound().size(), 1u);
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(store()->revoke_token("jwt:alice"));
  ASSERT_TRUE(until([&] { return agent->ended(); }, 5s));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
  EXPECT_EQ(agent->why().code, Code::REVOKED);
  expect_refused(*come(jwt(claims("alice", 2h)), {http()}), Code::REVOKED);
}

TEST_F(Admissions, AJoinCodeBecomesACredentialOfThisKey) {
  const Secret code = *relay->info().join_code;
  const Secret issued = come(Credential::code(code))->issued;
  ASSERT_FALSE(issued.empty());
  expect_refused(*come(Credential::code(code)), Code::BAD_CODE);

  const auto home = come(issued, {http("home")});
  EXPECT_EQ(home->bound().size(), 1u);
  EXPECT_TRUE(home->credential_name.starts_with("agent-"));
  // Stolen without the key it is worth nothing, …
  const SigningKey thief = SigningKey::generate(), second = SigningKey::generate();
  expect_refused(*come(issued, {http("x")}, &thief), Code::WRONG_IDENTITY);
  // … nor with somebody's word that is not the key's.
  const auto vouched = [&](const SigningKey& by, const PublicKey& for_key) {
    Credential credential = issued;
    const std::string message = control::delegate_message(for_key);
    credential.delegation = {identity->public_key(), by.sign(as_bytes(message))};
    return credential;
  };
  expect_refused(*come(vouched(thief, thief.public_key()), {}, &thief), Code::BAD_IDENTITY);
  expect_refused(*come(vouched(*identity, second.public_key()), {}, &thief), Code::BAD_IDENTITY);
  Credential own = issued;
  const std::string message = control::delegate_message(thief.public_key());
  own.delegation = {thief.public_key(), thief.sign(as_bytes(message))};
  expect_refused(*come(own, {}, &thief), Code::WRONG_IDENTITY);
  // A second agent of the same machine.
  const auto other = come(vouched(*identity, second.public_key()), {http("home2")}, &second);
  EXPECT_EQ(other->bound().size(), 1u);
  EXPECT_FALSE(home->ended()) << "another identity replaces nobody";

  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(store()->revoke_token(home->credential_name));
  ASSERT_TRUE(until([&] { return home->ended() && other->ended(); }, 5s));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
}

TEST_F(Admissions, GuessingUsesACodeUp) {
  const std::string code(relay->info().join_code->reveal());
  for (int i = 0; i < 5; ++i) {
    const std::string guess = code.substr(0, 9) + std::string(16, static_cast<char>('a' + i));
    expect_refused(*come(Credential::code(Secret(guess))), Code::BAD_CODE);
  }
  expect_refused(*come(Credential::code(Secret(code))), Code::BAD_CODE);
}

}  // namespace
}  // namespace leat::relay
