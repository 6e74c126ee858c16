// The life of an agent: coming online, being refused, losing its relay, leaving.
#include "agent/agent.h"

#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>

#include "agent/world.h"
#include "base/file.h"

namespace leat::agent {
namespace {

using control::TunnelKind;
using State = Status::State;

class Life : public World {
 protected:
  Origin& echo = origin([](OriginConnection& c) {
    c.send(std::exchange(c.received, {}));
    if (c.ended) c.finish();
  });

  Service ssh(std::string id = "ssh") {
    return service(std::move(id), TunnelKind::tcp, echo.address());
  }
  Visit& visit_ssh() { return relay.open("ssh", TunnelKind::tcp); }
  nlohmann::json file() {
    return nlohmann::json::parse(read_file(state / "agent.json", Code::STATE_DIR).value());
  }
  // The agent gives up with this code.
  void expect_fatal(Code code) {
    ASSERT_TRUE(until([&] { return fatal.has_value(); }));
    EXPECT_EQ(info(fatal->code).name, info(code).name);
    EXPECT_EQ(agent->status().state, State::refused);
    EXPECT_EQ(told, State::refused);
    EXPECT_EQ(file()["state"], "refused");
    EXPECT_EQ(file()["last_error"]["code"], info(code).name);
  }
  bool drained() {
    bool done = false;
    agent->drain([&] {
      done = true;
      loop.poke();
    });
    return until([&] { return done; });
  }
};

// --- coming online ---

TEST_F(Life, TellsWhatItServes) {
  online({ssh(), service("web", TunnelKind::http, {"127.0.0.1", 1})});
  const Status& status = agent->status();
  ASSERT_EQ(status.tunnels.size(), 2u);
  EXPECT_EQ(status.tunnels[0].id, "ssh");
  EXPECT_EQ(status.tunnels[0].target, "tcp://" + echo.address().text());
  EXPECT_EQ(status.tunnels[1].urls, std::vector<std::string>{"https://relay.test/tunnel/web/"});
  EXPECT_EQ(file()["state"], "online");
  EXPECT_EQ(file()["pid"], ::getpid());
  EXPECT_EQ(file()["tunnels"][1]["urls"][0], "https://relay.test/tunnel/web/");
  EXPECT_EQ(relay.session().hello().host_name, "home");
}

TEST_F(Life, CountsStreamsAndBytes) {
  online({ssh()});
  Visit& visit = visit_ssh().send(std::string(1000, 'x'));
  ASSERT_TRUE(until([&] { return visit.text().size() == 1000; }));
  EXPECT_EQ(agent->status().streams, 1u);
  EXPECT_GE(agent->status().bytes_sent, 1000u);
  EXPECT_GE(agent->status().bytes_received, 1000u);
}

TEST_F(Life, KeepsItsIdentityInAPrivateDirectory) {
  Options first = options({ssh()});
  first.state_dir = state / "new/dir";
  start(std::move(first));
  ASSERT_TRUE(until_state(State::online));
  const PublicKey identity = relay.session().identity();
  struct stat about {};
  ASSERT_EQ(::stat((state / "new/dir").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700u);
  agent.reset();

  Options second = options({ssh()});
  second.state_dir = state / "new/dir";
  start(std::move(second));
  ASSERT_TRUE(until([&] { return relay.sessions.size() == 2 && relay.session().welcomed(); }));
  EXPECT_EQ(relay.session().identity(), identity);
}

TEST_F(Life, AsksAgainForAGeneratedId) {
  online({ssh("")});
  const std::string id = agent->status().tunnels[0].id;
  EXPECT_EQ(id.size(), 16u);
  relay.session().cut();
  ASSERT_TRUE(until([&] { return relay.binds.size() == 2; }));
  EXPECT_EQ(relay.binds[1].id, id) << "after a reconnect";
  agent.reset();
  online({ssh("")});
  EXPECT_EQ(relay.binds[2].id, id) << "after a restart";
}

TEST_F(Life, AsksForANewIdWhenTheRelayHasForgottenTheOldOne) {
  online({ssh("")});
  const std::string old = agent->status().tunnels[0].id;
  agent.reset();
  const auto accept = relay.on_bind;
  relay.on_bind = [&, accept](const control::TunnelRequest& tunnel) {
    if (tunnel.id == old) return Result<control::TunnelBound>(fail(Code::NAME_IS_PUBLIC));
    return accept(tunnel);
  };
  online({ssh("")});
  EXPECT_NE(agent->status().tunnels[0].id, old);
  EXPECT_FALSE(agent->status().tunnels[0].error);
  EXPECT_FALSE(fatal);
}

TEST_F(Life, KeepsItsIdWhereAHostIsRefused) {
  online({ssh("")});
  const std::string id = agent->status().tunnels[0].id;
  agent.reset();
  const auto accept = relay.on_bind;
  relay.on_bind = [&, accept](const control::TunnelRequest& tunnel) {
    if (tunnel.hosts.empty()) return accept(tunnel);
    return Result<control::TunnelBound>(fail(Code::NAME_IS_PUBLIC, tunnel.hosts.front()));
  };
  Service named = ssh("");
  named.hosts = {"a.example"};
  start(options({named}));
  expect_fatal(Code::NAME_IS_PUBLIC);
  agent.reset();
  online({ssh("")});
  ASSERT_EQ(relay.binds.size(), 3u);
  EXPECT_EQ(relay.binds[1].id, id);
  EXPECT_EQ(relay.binds[2].id, id);
}

TEST_F(Life, WaitsForARelayThatIsNotThereYet) {
  const HostPort address = relay.address();
  Options opts = options({ssh()});
  relay.stop_listening();
  start(std::move(opts));
  ASSERT_TRUE(until([&] { return agent->status().last_error.has_value() && told; }));
  EXPECT_EQ(agent->status().last_error->code, Code::RELAY_UNREACHABLE);
  EXPECT_EQ(agent->status().state, State::connecting);
  relay.listen_again(address);
  EXPECT_TRUE(until_state(State::online));
}

// --- refused ---

TEST_F(Life, CannotBeMadeFromNonsense) {
  const auto refused = [&](Options opts) {
    const auto made = Agent::create(loop.shard, std::move(opts), *this);
    return made ? std::string_view() : info(made.error().code).name;
  };
  Options no_token = options({ssh()});
  no_token.token = Secret();
  EXPECT_EQ(refused(std::move(no_token)), "LEAT_NO_TOKEN");
  EXPECT_EQ(refused(options({})), "LEAT_CONFIG");
  EXPECT_EQ(refused(options({ssh(), ssh()})), "LEAT_CONFIG");
  EXPECT_EQ(refused(options({ssh(""), ssh("")})), "");
  Options no_dir = options({ssh()});
  no_dir.state_dir = "/dev/null/leat";
  EXPECT_EQ(refused(std::move(no_dir)), "LEAT_STATE_DIR");
  Options no_ca = options({ssh()});
  no_ca.trust = {.pin = {}, .ca_file = state / "missing"};
  EXPECT_EQ(refused(std::move(no_ca)), "LEAT_KEY_FILE");
}

TEST_F(Life, ARefusedCredentialIsFinal) {
  Options opts = options({ssh()});
  opts.token = Secret("leat_wrong");
  start(std::move(opts));
  expect_fatal(Code::BAD_TOKEN);
  EXPECT_TRUE(is_credential(fatal->code));
  EXPECT_EQ(relay.sessions.size(), 1u);
}

TEST_F(Life, AnotherKeyThanThePinnedOneIsFinal) {
  Options opts = options({ssh()});
  opts.trust.pin = std::string(32, 'x');
  start(std::move(opts));
  expect_fatal(Code::PIN_MISMATCH);
}

TEST_F(Life, ACertificateNobodyVouchesForIsFinal) {
  Options opts = options({ssh()});
  opts.trust.pin.reset();
  start(std::move(opts));
  expect_fatal(Code::CERTIFICATE_REFUSED);
}

TEST_F(Life, BeingReplacedIsFinal) {
  online({ssh()});
  relay.session().close(Code::REPLACED);
  expect_fatal(Code::REPLACED);
  EXPECT_FALSE(is_credential(fatal->code));
}

TEST_F(Life, ARevokedCredentialIsFinal) {
  online({ssh()});
  relay.session().close(Code::REVOKED);
  expect_fatal(Code::REVOKED);
}

TEST_F(Life, IfNothingCanBeBoundAtFirstThatIsFinal) {
  relay.on_bind = [](const auto&) { return fail(Code::TUNNEL_TAKEN, "somebody's"); };
  start(options({ssh()}));
  expect_fatal(Code::TUNNEL_TAKEN);
  EXPECT_EQ(file()["tunnels"][0]["error"]["code"], "LEAT_TUNNEL_TAKEN");
  ASSERT_TRUE(until([&] { return relay.session().ended(); }));
  EXPECT_EQ(relay.session().why().code, Code::TUNNEL_TAKEN) << "the relay is told";
}

TEST_F(Life, IfSomeCanBeBoundTheyAreServed) {
  const auto accept = relay.on_bind;
  relay.on_bind = [accept](const control::TunnelRequest& tunnel) {
    if (tunnel.id == "no") return Result<control::TunnelBound>(fail(Code::PORT_TAKEN));
    return accept(tunnel);
  };
  online({service("no", TunnelKind::tcp, {"127.0.0.1", 1}), ssh()});
  EXPECT_EQ(agent->status().tunnels[0].error->code, Code::PORT_TAKEN);
  Visit& visit = visit_ssh().send("x");
  EXPECT_TRUE(until([&] { return visit.has("x"); }));
}

TEST_F(Life, WhatIsRefusedIsAskedForAgainWhileTheOthersServe) {
  const auto accept = relay.on_bind;
  int refusals = 0, never = 0;
  relay.on_bind = [&, accept](const control::TunnelRequest& tunnel) {
    if (tunnel.id == "never" && ++never > 0) {
      return Result<control::TunnelBound>(fail(Code::PORT_REFUSED));
    }
    if (tunnel.id == "later" && ++refusals <= 4) {
      return Result<control::TunnelBound>(fail(Code::PORT_TAKEN, "somebody's"));
    }
    return accept(tunnel);
  };
  online({service("later", TunnelKind::tcp, {"127.0.0.1", 1}),
          service("never", TunnelKind::tcp, {"127.0.0.1", 1}), ssh()});
  EXPECT_EQ(file()["tunnels"][0]["error"]["code"], "LEAT_PORT_TAKEN");
  EXPECT_EQ(file()["tunnels"][1]["error"]["code"], "LEAT_PORT_REFUSED");
  EXPECT_EQ(file()["tunnels"][2]["error"], nullptr);
  Visit& visit = visit_ssh().send("x");
  ASSERT_TRUE(until([&] { return visit.has("x") && !agent->status().tunnels[0].error; }));
  EXPECT_EQ(refusals, 5);
  EXPECT_EQ(never, 1) << "asking again cannot help";
  EXPECT_FALSE(agent->status().tunnels[0].urls.empty());
  EXPECT_EQ(relay.sessions.size(), 1u);
  visit.send("y");
  EXPECT_TRUE(until([&] { return visit.has("y"); }));
}

TEST_F(Life, TheRelaysOwnTroubleIsNotFinal) {
  const auto accept = relay.on_bind;
  int refusals = 0;
  relay.on_bind = [&, accept](const control::TunnelRequest& tunnel) {
    if (++refusals <= 2) return Result<control::TunnelBound>(fail(Code::STORE, "disk full"));
    return accept(tunnel);
  };
  online({ssh()});
  EXPECT_FALSE(fatal);
  EXPECT_EQ(relay.sessions.size(), 1u);
}

TEST_F(Life, AnotherVersionIsFinalAtFirst) {
  relay.on_hello = [](const auto&) { return Error{Code::VERSION_MISMATCH, "of another age"}; };
  start(options({ssh()}));
  expect_fatal(Code::VERSION_MISMATCH);
  EXPECT_EQ(relay.sessions.size(), 1u);
}

// --- losing the relay ---

TEST_F(Life, ComesBackAndCutsWhatRan) {
  online({ssh()});
  Visit& visit = visit_ssh().send("x");
  ASSERT_TRUE(until([&] { return visit.has("x"); }));
  relay.session().cut();
  ASSERT_TRUE(until([&] {
    return visit.over() && echo.connections.front()->gone() && relay.sessions.size() == 2 &&
           relay.session().bound() == 1;
  }));
  EXPECT_TRUE(visit.was_reset());
  EXPECT_TRUE(echo.connections.front()->failed);
  ASSERT_TRUE(until_state(State::online));
  EXPECT_EQ(agent->status().reconnects, 1u);
  Visit& again = visit_ssh().send("y");
  EXPECT_TRUE(until([&] { return again.has("y"); }));
}

TEST_F(Life, KeepsTryingWhenAStrangerAnswersWhereTheRelayWas) {
  online({ssh()});
  const HostPort address = relay.address();
  relay.stop_listening();
  FakeRelay stranger(loop);
  stranger.stop_listening();
  stranger.listen_again(address);
  relay.session().cut();
  ASSERT_TRUE(until([&] {
    const auto& error = agent->status().last_error;
    return error && error->code == Code::PIN_MISMATCH;
  }));
  EXPECT_FALSE(fatal);
  stranger.stop_listening();
  relay.listen_again(address);
  ASSERT_TRUE(until_state(State::online));
  EXPECT_EQ(stranger.welcomed(), 0u);
}

TEST_F(Life, KeepsTryingWhenTheRelayIsRolledBackAndUpgradedAgain) {
  online({ssh()});
  const auto accept = std::exchange(relay.on_hello, [](const auto&) {
    return Error{Code::VERSION_MISMATCH, "of another age"};
  });
  relay.session().cut();
  ASSERT_TRUE(until([&] {
    const auto& error = agent->status().last_error;
    return error && error->code == Code::VERSION_MISMATCH;
  }));
  EXPECT_FALSE(fatal);
  relay.on_hello = accept;
  EXPECT_TRUE(until_state(State::online));
}

TEST_F(Life, AJwtThatIsRefusedIsFinalAtFirst) {
  relay.on_hello = [](const auto&) { return Error{Code::BAD_JWT, "no such key"}; };
  start(options({ssh()}));
  expect_fatal(Code::BAD_JWT);
  EXPECT_EQ(relay.sessions.size(), 1u);
}

// One wrong file of keys ends the session of every agent with a JWT, and refuses them until it is
// mended.
TEST_F(Life, KeepsTryingWhenTheRelayLosesTheKeysOfItsJwt) {
  online({ssh()});
  const auto accept = std::exchange(relay.on_hello, [](const auto&) {
    return Error{Code::BAD_JWT, "no such key"};
  });
  relay.session().close(Code::BAD_JWT);
  ASSERT_TRUE(until([&] { return relay.sessions.size() >= 3; })) << "the first and two refusals";
  EXPECT_EQ(agent->status().last_error->code, Code::BAD_JWT);
  EXPECT_FALSE(fatal);
  relay.on_hello = accept;
  EXPECT_TRUE(until_state(State::online));
}

TEST_F(Life, WhatTheRelayTakesAwayLaterIsAskedForAgain) {
  online({ssh()});
  const auto accept =
      std::exchange(relay.on_bind, [](const auto&) { return fail(Code::PORT_TAKEN); });
  relay.session().cut();
  ASSERT_TRUE(until([&] { return relay.binds.size() == 2; }));
  relay.on_bind = accept;
  ASSERT_TRUE(until_state(State::online));
  EXPECT_FALSE(fatal);
}

TEST_F(Life, LeavesARelayThatIsShuttingDownAndReturns) {
  online({ssh()});
  Visit& visit = visit_ssh().send("x");
  ASSERT_TRUE(until([&] { return visit.has("x"); }));
  relay.session().drain(1);
  visit.send("y");
  ASSERT_TRUE(until([&] { return visit.has("y"); })) << "what runs goes on";
  EXPECT_FALSE(relay.session().ended());
  visit.finish();
  ASSERT_TRUE(until([&] { return relay.sessions.size() == 2; }));
  EXPECT_TRUE(visit.ended());
  EXPECT_EQ(relay.sessions.front()->why().code, Code::DRAINING);
  EXPECT_TRUE(until_state(State::online));
}

TEST_F(Life, PassesNoticesOn) {
  online({ssh()});
  relay.session().notice({Code::REVOKED, "soon"});
  ASSERT_TRUE(until([&] { return agent->status().notice.has_value(); }));
  EXPECT_EQ(agent->status().notice->code, Code::REVOKED);
  EXPECT_EQ(file()["notice"]["detail"], "soon");
  EXPECT_FALSE(file()["noticed"].is_null());
  EXPECT_NE(agent->metrics().find("leat_agent_notices_total{code=\"LEAT_REVOKED\"} 1\n"),
            std::string::npos);
  EXPECT_FALSE(fatal) << "the session goes on";
}

TEST_F(Life, ATunnelThatIsTakenAwayIsNotSaidToBeThere) {
  online({ssh()});
  const std::string id = agent->status().tunnels.at(0).id;
  relay.session().notice({Code::REVOKED, "none of ours"}, "another");
  relay.session().notice({Code::REVOKED, "taken"}, id);
  ASSERT_TRUE(until([&] { return agent->status().tunnels.at(0).error.has_value(); }));
  const TunnelStatus& status = agent->status().tunnels.at(0);
  EXPECT_EQ(status.error->code, Code::REVOKED);
  EXPECT_EQ(status.error->detail, "taken");
  EXPECT_TRUE(status.urls.empty());
  EXPECT_FALSE(fatal) << "the session goes on";
}

// --- leaving ---

TEST_F(Life, DrainsStreamsThatRun) {
  online({ssh()});
  Visit& visit = visit_ssh().send("x");
  ASSERT_TRUE(until([&] { return visit.has("x"); }));
  bool done = false;
  agent->drain([&] {
    done = true;
    loop.poke();
  });
  ASSERT_TRUE(until([&] { return relay.session().left(); }));
  EXPECT_EQ(file()["state"], "draining");
  // A stream that was on its way when the agent said so.
  Visit& late = visit_ssh().send("late").finish();
  ASSERT_TRUE(until([&] { return late.over(); }));
  EXPECT_EQ(late.text(), "late");
  EXPECT_FALSE(done);
  visit.send("y").finish();
  ASSERT_TRUE(until([&] { return done; }));
  EXPECT_EQ(visit.text(), "xy");
  EXPECT_TRUE(visit.ended());
  EXPECT_EQ(agent->status().state, State::stopped);
  EXPECT_EQ(file()["state"], "stopped");
  ASSERT_TRUE(until([&] { return relay.session().ended(); }));
  EXPECT_EQ(relay.session().why().code, Code::DRAINING);
}

TEST_F(Life, ADrainLosesNothingThatWasAnswered) {
  const std::string body = net::random_text(8'000'000, 1);
  Origin& web = origin(on_head([&](OriginConnection& c, const std::string&) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + body);
  }));
  online({http(web)});
  Visit& got = World::visit("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(until([&] { return got.replied(); }));
  ASSERT_TRUE(drained());
  ASSERT_TRUE(until([&] { return got.over(); }));
  EXPECT_TRUE(got.ended());
  EXPECT_TRUE(got.text().ends_with(body));
}

TEST_F(Life, StaysUntilAVisitorWhoReadsSlowlyHasEverything) {
  const std::string body = net::random_text(200'000, 1);
  Origin& web = origin(on_head([&](OriginConnection& c, const std::string&) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + body);
  }));
  online({http(web)});
  Visit& slow = World::visit("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  slow.pause(true);
  // All of it fits the stream's window: the agent has done its part, the visitor has nothing.
  ASSERT_TRUE(until([&] { return web.connections.size() == 1; }));
  ASSERT_TRUE(idle());
  bool done = false;
  agent->drain([&] {
    done = true;
    loop.poke();
  });
  ASSERT_TRUE(until([&] { return relay.session().left(); }));
  EXPECT_EQ(agent->status().streams, 0u);
  EXPECT_FALSE(done);
  slow.pause(false);
  ASSERT_TRUE(until([&] { return done; }));
  EXPECT_TRUE(slow.ended());
  EXPECT_TRUE(slow.text().ends_with(body));
}

TEST_F(Life, ADrainSaidBeforeWelcomeIsHeeded) {
  relay.drains_at_once = true;
  start(options({ssh()}));
  ASSERT_TRUE(until([&] { return relay.sessions.size() == 2; }));
  EXPECT_TRUE(relay.sessions.front()->left());
  EXPECT_FALSE(fatal);
}

TEST_F(Life, StopsAtOnceWhenThereIsNoSession) {
  Options opts = options({ssh()});
  relay.stop_listening();
  start(std::move(opts));
  EXPECT_TRUE(drained());
  EXPECT_EQ(agent->status().state, State::stopped);
  EXPECT_EQ(file()["state"], "stopped");
}

TEST_F(Life, ADrainEndsWithItsSession) {
  online({ssh()});
  Visit& visit = visit_ssh().send("x");
  ASSERT_TRUE(until([&] { return visit.has("x"); }));
  bool done = false;
  agent->drain([&] {
    done = true;
    loop.poke();
  });
  relay.session().cut();
  ASSERT_TRUE(until([&] { return done; }));
  EXPECT_EQ(agent->status().state, State::stopped);
  EXPECT_EQ(relay.sessions.size(), 1u);
}

TEST_F(Life, MayBeDestroyedInTheMiddle) {
  online({ssh(), http(origin([](OriginConnection&) {}))});
  Visit& visit = visit_ssh().send("x");
  World::visit("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(until([&] { return visit.has("x"); }));
  agent.reset();
  ASSERT_TRUE(until([&] { return visit.over() && relay.session().ended(); }));
  EXPECT_TRUE(visit.was_reset());
}

}  // namespace
}  // namespace leat::agent
