// A relay on a loop, with agents and visitors that come to it over the loopback interface.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/crypto_util.h"
#include "net/loop.h"
#include "relay/fake_agent.h"
#include "relay/relay.h"
#include "relay/visitor.h"
#include "store/store.h"
#include "support/temp_dir.h"

namespace leat::relay {

class World : public ::testing::Test {
 protected:
  // Below the ephemeral range, so that no connection of this machine takes one of them meanwhile.
  static PortRange some_ports() {
    const auto low = static_cast<std::uint16_t>(10000 + random_u64() % 20000);
    return {low, static_cast<std::uint16_t>(low + 3)};
  }

  void SetUp() override {
    Options options;
    options.listen = {"127.0.0.1", 0};
    options.plain_listen = HostPort{"127.0.0.1", 0};
    options.state_dir = dir.path();
    options.tcp_ports = ports;
    // The same tests are run over again with more shards than the one whose thread is the test's.
    if (const char* const shards = std::getenv("LEAT_TEST_SHARDS")) {
      options.shards = static_cast<std::size_t>(std::atoi(shards));
    }
    configure(options);
    relay = Relay::start(loop.shard, options).value();
    token = *relay->info().first_token;
    const std::string pin = net::parse_pin(relay->info().pin).value();
    agent_tls = net::TlsContext::client({.pin = pin, .ca_file = {}}, {net::kAlpnLeat}).value();
    visitor_tls = net::TlsContext::client({.pin = pin, .ca_file = {}}, {net::kAlpnHttp}).value();
    identity = SigningKey::load_or_create(dir / "agent.pem").value();
  }

  virtual void configure(Options&) {}

  bool until(std::function<bool()> condition, Duration limit = std::chrono::seconds(20)) {
    return loop.run(std::move(condition), limit);
  }
  // Lets the relay's own timers run.
  void pass(Duration time) {
    bool over = false;
    net::Timer timer(loop.shard, [&] {
      over = true;
      loop.poke();
    });
    timer.arm(std::chrono::steady_clock::now() + time);
    ASSERT_TRUE(until([&] { return over; }, time + std::chrono::seconds(20)));
  }

  static control::TunnelRequest http(std::string id = "web") {
    return {std::move(id), control::TunnelKind::http, true, 0};
  }
  static control::TunnelRequest tcp(std::string id = "raw", std::uint16_t port = 0) {
    return {std::move(id), control::TunnelKind::tcp, true, port};
  }
  std::unique_ptr<FakeAgent> agent(std::vector<control::TunnelRequest> tunnels) {
    return std::make_unique<FakeAgent>(
        loop, FakeAgent::Settings{relay->info().listen, *agent_tls, *identity, token,
                                  std::move(tunnels)});
  }
  // Another one of the same token's.
  std::unique_ptr<FakeAgent> other_agent(const std::string& key,
                                         std::vector<control::TunnelRequest> tunnels) {
    auto made = SigningKey::load_or_create(dir / (key + ".pem"));
    others.push_back(std::make_unique<SigningKey>(std::move(*made)));
    return std::make_unique<FakeAgent>(
        loop, FakeAgent::Settings{relay->info().listen, *agent_tls, *others.back(), token,
                                  std::move(tunnels)});
  }
  // … whose tunnels are answered for.
  std::unique_ptr<FakeAgent> online(std::vector<control::TunnelRequest> tunnels) {
    auto made = agent(std::move(tunnels));
    EXPECT_TRUE(until([&] { return made->settled() || made->ended(); }));
    EXPECT_TRUE(made->settled());
    return made;
  }
  std::unique_ptr<Visitor> visitor(int receive_buffer = 0, const char* from = nullptr) {
    return std::make_unique<Visitor>(loop, relay->info().listen, &*visitor_tls, receive_buffer,
                                     from);
  }
  std::unique_ptr<Visitor> plain_visitor(const char* from = nullptr) {
    return std::make_unique<Visitor>(loop, *relay->info().plain_listen, nullptr, 0, from);
  }
  std::unique_ptr<Visitor> tcp_visitor(std::uint16_t port) {
    return std::make_unique<Visitor>(loop, HostPort{"127.0.0.1", port}, nullptr);
  }
  // Answers every request of the agent's that is a whole head.
  static void answer_all(FakeAgent& to, std::string http) {
    to.on_served = [http = std::move(http)](Served& served) {
      if (served.has("\r\n\r\n") && served.unsent() == 0) served.answer(http);
    };
  }
  // A visitor who behaves gets its answer.
  void expect_served(const std::string& tunnel = "web") {
    const auto honest = visitor();
    honest->get("/tunnel/" + tunnel + "/");
    ASSERT_TRUE(until([&] { return honest->has("hello") || honest->over(); }));
    EXPECT_TRUE(honest->has("HTTP/1.1 200")) << honest->text();
  }
  static constexpr char kHello[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

  net::Loop loop;
  test::TempDir dir;
  const PortRange ports = some_ports();
  std::unique_ptr<Relay> relay;
  Secret token;
  std::optional<net::TlsContext> agent_tls, visitor_tls;
  std::optional<SigningKey> identity;
  std::vector<std::unique_ptr<SigningKey>> others;  // keys, which outlive their agents
};

}  // namespace leat::relay
