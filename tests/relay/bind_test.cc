// Binds: what they cost the relay, and ports that are lent and given back.
#include <gtest/gtest.h>

#include <set>

#include "base/limits.h"
#include "relay/world.h"
#include "support/captured.h"

namespace leat::relay {
namespace {

using Binds = World;

TEST_F(Binds, AreAnsweredAndServe) {
  const auto agent = online({http(), {"", control::TunnelKind::http, false, 0}, tcp()});
  ASSERT_TRUE(agent->refused().empty());
  EXPECT_EQ(agent->bound().at(0).id, "web");
  EXPECT_EQ(agent->bound().at(1).id.size(), 16u);
  EXPECT_TRUE(ports.contains(agent->bound().at(2).remote_port));
  answer_all(*agent, kHello);
  expect_served("web");
  expect_served(agent->bound().at(1).id);
}

// Ids that are given back at once and never asked for again leave a row each (threat: the disk and
// the loop of a shared relay).
TEST_F(Binds, NewIdsAreWrittenOnlySoFast) {
  const std::size_t burst = limits::kTokenClaims.burst;
  std::vector<control::TunnelRequest> tunnels;
  for (std::size_t i = 0; i < burst; ++i) tunnels.push_back(http("t" + std::to_string(i)));
  auto agent = online(std::move(tunnels));
  EXPECT_TRUE(agent->refused().empty());

  // Another agent of the same token's, at once: the ids it takes over have to be written as well.
  const auto other_key = SigningKey::load_or_create(dir / "other.pem").value();
  std::vector<control::TunnelRequest> more;
  for (std::size_t i = 0; i < 512; ++i) more.push_back(http("t" + std::to_string(i)));
  FakeAgent other(loop, {relay->info().listen, *agent_tls, other_key, token, std::move(more)});
  ASSERT_TRUE(until([&] { return other.settled() || other.ended(); }));
  ASSERT_TRUE(other.settled());
  ASSERT_GT(other.refused().size(), 256u) << "one bucket for all sessions of a token";
  for (const auto& [index, error] : other.refused()) {
    ASSERT_EQ(error.code, Code::TOO_MANY_BINDS) << index;
  }

  // Who comes back with what is known already costs nothing and is not held up.
  tunnels.clear();
  for (std::size_t i = 512; i < burst; ++i) tunnels.push_back(http("t" + std::to_string(i)));
  agent = online(std::move(tunnels));
  EXPECT_TRUE(agent->refused().empty());
}

// What a tunnel's rules take of the relay's memory is bounded, and given back with the tunnel.
TEST_F(Binds, RulesAreBoundedAndForgotten) {
  constexpr std::size_t kTunnels = 24;
  std::vector<control::TunnelRequest> tunnels;
  for (std::size_t i = 0; i < kTunnels; ++i) tunnels.push_back(http("t" + std::to_string(i)));
  const auto agent = online(tunnels);
  ASSERT_TRUE(agent->refused().empty());
  const test::Captured log(log::Format::json);
  net::Timer look(loop.shard, [&] {
    loop.poke();
    look.arm_in(std::chrono::milliseconds(5));
  });
  look.arm_in(Duration(0));
  const auto bind_all = [&] {
    for (std::size_t i = 0; i < kTunnels; ++i) agent->control().bind(i, tunnels[i]);
    agent->wake();
  };
  const auto answered = [&](std::size_t n) {
    return log.events("tunnel bound").size() + log.events("tunnel refused").size() == n;
  };
  for (auto& tunnel : tunnels) tunnel.visitors.users.assign(200, {std::string(255, 'u'), {}});
  bind_all();
  ASSERT_TRUE(until([&] { return answered(kTunnels); }));
  const std::size_t bound = log.events("tunnel bound").size();
  EXPECT_GT(bound, kTunnels / 2);
  EXPECT_LT(bound, kTunnels);
  for (const auto& [index, error] : agent->refused()) EXPECT_EQ(error.code, Code::BAD_POLICY);

  for (const auto& tunnel : tunnels) agent->control().unbind(tunnel.id);
  bind_all();
  ASSERT_TRUE(until([&] { return answered(2 * kTunnels); }));
  EXPECT_EQ(log.events("tunnel bound").size(), 2 * bound) << "what was unbound takes its place";
}

TEST_F(Binds, PortsAreLentInTurn) {
  auto agent = online({tcp("a"), tcp("b"), tcp("c"), tcp("d"), tcp("e")});
  std::set<std::uint16_t> lent;
  for (const auto& [index, tunnel] : agent->bound()) lent.insert(tunnel.remote_port);
  EXPECT_EQ(lent.size(), 4u);
  ASSERT_EQ(agent->refused().size(), 1u);
  EXPECT_EQ(agent->refused().begin()->second.code, Code::PORT_TAKEN);

  // What is given back is the last to be lent again.
  const std::uint16_t b = agent->bound().at(1).remote_port, c = agent->bound().at(2).remote_port;
  agent->control().unbind("b");
  agent->control().unbind("c");
  agent->wake();
  const auto other_key = SigningKey::load_or_create(dir / "other.pem").value();
  FakeAgent other(loop, {relay->info().listen, *agent_tls, other_key, token, {tcp("x")}});
  ASSERT_TRUE(until([&] { return other.settled(); }));
  ASSERT_EQ(other.bound().size(), 1u);
  EXPECT_TRUE(other.bound().at(0).remote_port == b || other.bound().at(0).remote_port == c);
  FakeAgent wrong(loop, {relay->info().listen,
                         *agent_tls,
                         other_key,
                         token,
                         {tcp("y", static_cast<std::uint16_t>(ports.high + 1))}});
  ASSERT_TRUE(until([&] { return wrong.settled(); }));
  EXPECT_EQ(wrong.refused().at(0).code, Code::PORT_REFUSED);
}

TEST_F(Binds, APortAskedForByNumberIsLentInTurnToo) {
  const auto agent = online({tcp("a", ports.low)});
  agent->control().unbind("a");
  agent->wake();
  const auto other = other_agent("other", {tcp("x")});
  ASSERT_TRUE(until([&] { return other->settled(); }));
  EXPECT_NE(other->bound().at(0).remote_port, ports.low) << "a visitor of a's may still come";
}

// One at a time, each of them a wait for the disk, in which nobody is served.
TEST_F(Binds, WritesAreCountedHoweverSmall) {
  const auto agent = online({http("t")});
  constexpr std::size_t kMany = 4 * limits::kTokenWrites.burst;
  std::size_t written = 1;
  for (; written < kMany && agent->refused().empty(); ++written) {
    const std::string id = "t" + std::to_string(written);
    agent->control().bind(0, http(id));
    agent->wake();
    ASSERT_TRUE(until([&] { return agent->bound().at(0).id == id || !agent->refused().empty(); }));
  }
  EXPECT_GT(written, limits::kTokenWrites.burst);
  ASSERT_FALSE(agent->refused().empty()) << written;
  EXPECT_EQ(agent->refused().at(0).code, Code::TOO_MANY_BINDS);
}

TEST_F(Binds, ATunnelThatLosesItsPortIsNobodys) {
  const auto taken =
      net::Listener::open(loop.shard, {"127.0.0.1", ports.high}, [](net::Fd) {}).value();
  auto agent = online({tcp("raw", ports.low), tcp("raw", ports.high)});
  EXPECT_EQ(agent->bound().at(0).remote_port, ports.low);
  EXPECT_EQ(agent->refused().at(1).code, Code::PORT_TAKEN);
  const auto late = tcp_visitor(ports.low);
  EXPECT_TRUE(until([&] { return late->refused(); }));
  agent.reset();
  pass(std::chrono::milliseconds(100));
  agent = online({http("raw")});
  answer_all(*agent, kHello);
  expect_served("raw");
}

TEST_F(Binds, APortOfAnotherProgramIsLeftOut) {
  const auto taken = net::Listener::open(loop.shard, {"127.0.0.1", ports.low}, [](net::Fd) {});
  ASSERT_TRUE(taken);
  const auto agent = online({tcp("a"), tcp("b", ports.low)});
  ASSERT_EQ(agent->bound().size(), 1u);
  EXPECT_NE(agent->bound().at(0).remote_port, ports.low);
  EXPECT_EQ(agent->refused().at(1).code, Code::PORT_TAKEN);
}

}  // namespace
}  // namespace leat::relay
