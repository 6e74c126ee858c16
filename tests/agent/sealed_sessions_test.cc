// Sealed sessions of devices that come directly, by the client of `leat connect`: how many there
// may be, and what a service that runs for one sees when it may not any more.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/devices.h"
#include "agent/world.h"
#include "connect/client.h"
#include "crypto/identity.h"

namespace leat::agent {
namespace {

using control::TunnelKind;

// `leat connect` with standard input and output: it ends with its session.
class Device final : private connect::Client::Listener {
 public:
  Device(net::Loop& loop, connect::Options options) : loop_(loop) {
    std::array<int, 2> pair{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()), 0);
    near_ = net::Fd(pair[0]);
    options.stdio = net::Fd(pair[1]);
    client_ = connect::Client::create(loop.shard, std::move(options), *this).value();
    client_->start();
  }

  bool connected() const { return connected_; }
  const std::optional<Error>& over() const { return over_; }
  void say(std::string_view text) const {
    EXPECT_EQ(::send(near_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }

 private:
  void on_listening(const HostPort&) override {}
  void on_connected(const std::string&, const std::string&) override {
    connected_ = true;
    loop_.poke();
  }
  void on_over(const Error* why) override {
    over_ = why != nullptr ? *why : Error{Code::CARRIER_CUT, {}};
    loop_.poke();
  }

  net::Loop& loop_;
  net::Fd near_;
  bool connected_ = false;
  std::optional<Error> over_;
  std::unique_ptr<connect::Client> client_;
};

class SealedSessionsTest : public World {
 protected:
  void SetUp() override {
    // Both have begun an answer that does not end.
    den = &origin(on_head([this](OriginConnection& connection, const std::string&) {
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi");
      ++begun;
    }));
    raw = &origin([this](OriginConnection& connection) {
      begun += !connection.received.empty();
      connection.received.clear();
    });
    std::vector<Service> services = {service("den", TunnelKind::http, den->address()),
                                     service("raw", TunnelKind::tcp, raw->address())};
    for (Service& each : services) each.sealed = true;
    Options with = options(services);
    with.direct = {{"127.0.0.1", 0}};
    start(std::move(with));
    ASSERT_TRUE(until_state(Status::State::online));
  }

  // As if it had been paired.
  void pair(const std::string& name, const Scope& scope = {}) {
    connect::KnownAgent known{name, {}, crypto::KeyPair::generate(), {}, true};
    known.agent.key =
        crypto::Identity::load(state.path() + "/identity.pem").value().sealing().public_key();
    known.agent.tunnel = "den";
    known.agent.direct = {agent->status().ways->direct.at(0).text()};
    ASSERT_TRUE(known.save(devices.path()));
    ASSERT_TRUE(DeviceFile(state.path()).update([&](Devices& all) -> Result<void> {
      all.devices.push_back({name, known.own.public_key(), scope, 0, {}});
      return {};
    }));
  }
  Device& open(const std::string& name, const std::string& service = "den") {
    connect::Options made;
    made.service = service;
    made.directory = devices.path();
    made.agent = made.device = name;
    made.by_relay = false;
    Device& device = *opened.emplace_back(std::make_unique<Device>(away, std::move(made)));
    EXPECT_TRUE(both([&] { return device.connected() || device.over(); }));
    return device;
  }
  // Devices are somewhere else, and may stop.
  bool both(const std::function<bool()>& condition) {
    for (int i = 0; i < 20'000 && !condition(); ++i) {
      loop.run(condition, std::chrono::milliseconds(1));
      away.run(condition, std::chrono::milliseconds(1));
    }
    return condition();
  }
  void change(const std::string& name, const std::function<void(agent::Device&)>& how) {
    ASSERT_TRUE(DeviceFile(state.path()).update([&](Devices& all) -> Result<void> {
      how(*all.by_name(name));
      return {};
    }));
  }
  // One request to each, which do not end.
  void ask(const std::string& name) {
    open(name).say("GET /v1/x HTTP/1.1\r\nHost: den\r\n\r\n");
    open(name, "raw").say("hello");
    ASSERT_TRUE(both([this] { return begun == 2; }));
  }
  OriginConnection& http() { return *den->connections.at(0); }
  OriginConnection& tcp() { return *raw->connections.at(0); }

  Origin *den = nullptr, *raw = nullptr;
  int begun = 0;
  test::TempDir devices;
  net::Loop away;
  std::vector<std::unique_ptr<Device>> opened;
};

TEST_F(SealedSessionsTest, OneDeviceHasSixteenAndKeepsNobodyOut) {
  pair("many");
  pair("other");
  const Device& other = open("other");
  for (int i = 0; i < 16; ++i) open("many");
  for (const auto& each : opened) EXPECT_TRUE(each->connected() && !each->over());
  const Device& beyond = open("many");
  ASSERT_TRUE(beyond.over());
  EXPECT_EQ(beyond.over()->code, Code::AGENT_BUSY);
  EXPECT_FALSE(opened[1]->over());
  EXPECT_FALSE(other.over());
  EXPECT_TRUE(open("other").connected());
}

// Less than the two seconds for which a session waits until its end is heard.
constexpr auto kSoon = std::chrono::milliseconds(1500);

TEST_F(SealedSessionsTest, WhatRunsForARevokedDeviceEndsThoughItDoesNotListen) {
  pair("phone");
  ask("phone");
  change("phone", [](agent::Device& device) { device.revoked = unix_now(); });
  EXPECT_TRUE(loop.run([&] { return http().gone() && tcp().gone(); }, kSoon));
  ASSERT_TRUE(both([&] { return opened[0]->over() && opened[1]->over(); }));
  EXPECT_EQ(opened[1]->over()->code, Code::REVOKED);
}

TEST_F(SealedSessionsTest, WhatRunsUnderAnotherScopeEnds) {
  pair("phone");
  ask("phone");
  change("phone", [](agent::Device& device) { device.scope = {{"den"}, {"/v1"}}; });
  EXPECT_TRUE(both([&] { return tcp().gone() && http().gone(); }));
  open("phone").say("GET /v1/x HTTP/1.1\r\nHost: den\r\n\r\n");
  EXPECT_TRUE(both([this] { return begun == 3; }));
}

}  // namespace
}  // namespace leat::agent
