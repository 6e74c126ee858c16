// Services that come, go and change while the agent runs.
#include "agent/world.h"
#include "base/crypto_util.h"

namespace leat::agent {
namespace {

using control::TunnelKind;
using State = Status::State;

class Reload : public World {
 protected:
  Origin& echo = origin([](OriginConnection& c) {
    c.send(std::exchange(c.received, {}));
    if (c.ended) c.finish();
  });
  Origin& loud = origin([](OriginConnection& c) {
    if (!c.received.empty()) c.send("LOUD");
    c.received.clear();
  });

  static Service to(const std::string& id, const Origin& where) {
    return service(id, TunnelKind::tcp, where.address());
  }
  // A stream that runs and has been answered.
  Visit& running(const std::string& id) {
    Visit& made = relay.open(id, TunnelKind::tcp).send("x");
    EXPECT_TRUE(until([&] { return made.text() == "x"; }));
    return made;
  }
  // It still is what it was.
  void expect_running(Visit& visit) {
    visit.send("y").finish();
    EXPECT_TRUE(until([&] { return visit.over(); }));
    EXPECT_TRUE(visit.ended());
    EXPECT_EQ(visit.text(), "xy");
  }
  std::string ask(const std::string& id) {
    Visit& made = relay.open(id, TunnelKind::tcp).send("q");
    EXPECT_TRUE(until([&] { return !made.text().empty() || made.over(); }));
    const std::string said = made.failure().empty() ? made.text() : made.failure();
    made.reset();
    return said;
  }
  Agent::Changes reload(std::vector<Service> services) {
    const auto changes = agent->reload(std::move(services));
    EXPECT_TRUE(changes);
    return changes.value_or(Agent::Changes{});
  }
};

TEST_F(Reload, AddsWithoutTouchingWhatIsThere) {
  online({to("a", echo)});
  Visit& old = running("a");
  const auto changes = reload({to("b", loud), to("a", echo)});
  EXPECT_EQ(changes.added, 1u);
  EXPECT_EQ(changes.removed + changes.changed, 0u);
  ASSERT_TRUE(until([&] { return relay.session().bound() == 2 && relay.binds.back().id == "b"; }));
  ASSERT_TRUE(until([&] { return !agent->status().tunnels[0].urls.empty(); }));
  EXPECT_EQ(agent->status().tunnels[0].id, "b") << "in the order of the file";
  EXPECT_EQ(ask("b"), "LOUD");
  expect_running(old);
  EXPECT_EQ(relay.sessions.size(), 1u);
}

TEST_F(Reload, RemovesWithoutCuttingWhatRuns) {
  online({to("a", echo), to("b", echo)});
  Visit& old = running("b");
  EXPECT_EQ(reload({to("a", echo)}).removed, 1u);
  ASSERT_TRUE(until([&] { return !relay.session().unbound.empty(); }));
  EXPECT_EQ(relay.session().unbound, std::vector<std::string>{"b"});
  EXPECT_EQ(ask("b"), "LEAT_NO_SUCH_SERVICE");
  EXPECT_EQ(agent->status().tunnels.size(), 1u);
  expect_running(old);
  // A new session knows nothing of it.
  relay.binds.clear();
  relay.session().cut();
  ASSERT_TRUE(until([&] { return relay.sessions.size() == 2 && relay.session().bound() == 1; }));
  EXPECT_EQ(relay.binds.size(), 1u);
}

TEST_F(Reload, ChangesATargetUnderTheSameTunnel) {
  online({to("a", echo)});
  Visit& old = running("a");
  EXPECT_EQ(reload({to("a", loud)}).changed, 1u);
  EXPECT_EQ(ask("a"), "LOUD");
  EXPECT_EQ(relay.session().bound(), 1u) << "the relay need not know";
  EXPECT_TRUE(relay.session().unbound.empty());
  EXPECT_EQ(agent->status().tunnels[0].target, "tcp://" + loud.address().text());
  EXPECT_FALSE(agent->status().tunnels[0].urls.empty());
  expect_running(old);
}

TEST_F(Reload, BindsAnewWhatTheRelayHasToKnow) {
  online({to("a", echo)});
  Visit& old = running("a");
  Service changed = to("a", echo);
  changed.remote_port = 7777;
  const auto changes = reload({changed});
  EXPECT_EQ(changes.added, 1u);
  EXPECT_EQ(changes.removed, 1u);
  ASSERT_TRUE(until([&] { return relay.session().bound() == 2; }));
  EXPECT_EQ(relay.binds.back().remote_port, 7777);
  EXPECT_EQ(relay.session().unbound, std::vector<std::string>{"a"});
  EXPECT_EQ(ask("a"), "q");
  expect_running(old);
}

TEST_F(Reload, AGeneratedIdStays) {
  online({to("", echo), to("", loud)});
  const std::string first = agent->status().tunnels[0].id, second = agent->status().tunnels[1].id;
  const auto changes = reload({to("", loud), to("", echo)});
  EXPECT_EQ(changes.added + changes.removed + changes.changed, 0u);
  EXPECT_EQ(agent->status().tunnels[0].id, second);
  EXPECT_EQ(agent->status().tunnels[1].id, first);
  reload({to("", loud)});
  ASSERT_TRUE(until([&] { return relay.session().unbound.size() == 1; }));
  reload({to("", echo), to("", loud)});
  ASSERT_TRUE(until([&] { return relay.session().bound() == 3; }));
  EXPECT_EQ(agent->status().tunnels[0].id, first) << "kept for when it returns";
}

TEST_F(Reload, NonsenseChangesNothing) {
  online({to("a", echo)});
  EXPECT_EQ(agent->reload({}).error().code, Code::CONFIG);
  EXPECT_EQ(agent->reload({to("a", echo), to("a", loud)}).error().code, Code::CONFIG);
  EXPECT_EQ(ask("a"), "q");
  EXPECT_EQ(agent->status().tunnels.size(), 1u);
}

TEST_F(Reload, BeforeThereIsASessionTheNewServicesAreBound) {
  const HostPort address = relay.address();
  Options opts = options({to("a", echo)});
  relay.stop_listening();
  start(std::move(opts));
  ASSERT_TRUE(until([&] { return agent->status().last_error.has_value() && told; }));
  reload({to("b", loud)});
  relay.listen_again(address);
  ASSERT_TRUE(until_state(State::online));
  ASSERT_EQ(relay.binds.size(), 1u);
  EXPECT_EQ(relay.binds[0].id, "b");
}

// Changes come faster than the relay answers.
TEST_F(Reload, ManyInARowEndInTheLast) {
  online({to("a", echo)});
  Visit& old = running("a");
  for (int i = 0; i < 50; ++i) {
    std::vector<Service> services = {to("a", i % 3 == 0 ? loud : echo)};
    if (i % 2 == 0) services.push_back(to("b", loud));
    if (i % 5 == 0) services.back().remote_port = static_cast<std::uint16_t>(1000 + i);
    reload(std::move(services));
  }
  reload({to("a", loud), to("b", echo)});
  ASSERT_TRUE(until([&] {
    const auto& tunnels = agent->status().tunnels;
    return tunnels.size() == 2 && !tunnels[0].urls.empty() && !tunnels[1].urls.empty();
  }));
  EXPECT_EQ(ask("a"), "LOUD");
  EXPECT_EQ(ask("b"), "q");
  expect_running(old);
}

}  // namespace
}  // namespace leat::agent
