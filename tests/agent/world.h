// A relay, a service and an agent between them, all on one loop.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/agent.h"
#include "agent/fake_relay.h"
#include "agent/origin.h"
#include "support/temp_dir.h"

namespace leat::agent {

class World : public ::testing::Test, protected Listener {
 protected:
  Options options(std::vector<Service> services) {
    Options made;
    made.relay = relay.address();
    made.trust.pin = relay.pin();
    made.token = Secret(FakeRelay::kToken);
    made.state_dir = state.path();
    made.host_name = "home";
    made.services = std::move(services);
    return made;
  }
  static Service service(std::string id, control::TunnelKind kind, HostPort target) {
    Service made;
    made.id = std::move(id);
    made.kind = kind;
    made.target = std::move(target);
    return made;
  }
  static Service http(const Origin& origin) {
    return service("web", control::TunnelKind::http, origin.address());
  }

  void start(Options opts) {
    agent = Agent::create(loop.shard, std::move(opts), *this).value();
    agent->start();
  }
  // Starts and waits until all is bound.
  void online(std::vector<Service> services) {
    start(options(std::move(services)));
    ASSERT_TRUE(until_state(Status::State::online));
  }
  bool until(std::function<bool()> condition) { return loop.run(std::move(condition)); }
  // All streams of the agent have ended, of which nobody is told.
  bool idle() {
    net::Timer look(loop.shard, [&] {
      loop.poke();
      look.arm_in(std::chrono::milliseconds(1));
    });
    look.arm_in(Duration(0));
    return until([this] { return agent->status().streams == 0; });
  }
  bool until_state(Status::State wanted) {
    return until([this, wanted] { return agent->status().state == wanted && told == wanted; });
  }
  Visit& visit(std::string_view request) {
    return relay.open("web", control::TunnelKind::http).send(request).finish();
  }

  void on_status(const Status& status) override {
    told = status.state;
    loop.poke();
  }
  void on_fatal(const Error& error) override {
    fatal = error;
    loop.poke();
  }

  net::Loop loop;
  test::TempDir state;
  FakeRelay relay{loop};
  std::optional<Status::State> told;
  std::optional<Error> fatal;
  std::vector<std::unique_ptr<Origin>> origins;
  std::unique_ptr<Agent> agent;

  Origin& origin(Origin::Handler handler, const net::TlsContext* tls = nullptr) {
    origins.push_back(std::make_unique<Origin>(loop, std::move(handler), tls));
    return *origins.back();
  }
};

}  // namespace leat::agent
