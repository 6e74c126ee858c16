// Sealed sessions of devices that come directly, by the client of `leat connect`: how many there
// may be, and what a service that runs for one sees when it may not any more.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
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
    Origin& behind = origin(on_head([](OriginConnection& connection, const std::string&) {
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    }));
    Service sealed = service("den", TunnelKind::http, behind.address());
    sealed.sealed = true;
    Options with = options({sealed});
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
  std::unique_ptr<Device> open(const std::string& name) {
    connect::Options made;
    made.directory = devices.path();
    made.agent = made.device = name;
    made.by_relay = false;
    auto device = std::make_unique<Device>(loop, std::move(made));
    EXPECT_TRUE(until([&] { return device->connected() || device->over(); }));
    return device;
  }

  test::TempDir devices;
};

TEST_F(SealedSessionsTest, OfSeventeenOfOneDeviceTheOldestEndsAndOthersGetIn) {
  pair("many");
  pair("other");
  const auto other = open("other");
  std::vector<std::unique_ptr<Device>> sessions;
  for (int i = 0; i < 16; ++i) sessions.push_back(open("many"));
  for (const auto& each : sessions) EXPECT_TRUE(each->connected() && !each->over());
  sessions.push_back(open("many"));
  EXPECT_TRUE(sessions.back()->connected());
  ASSERT_TRUE(until([&] { return sessions.front()->over().has_value(); }));
  EXPECT_EQ(sessions.front()->over()->code, Code::AGENT_BUSY);
  EXPECT_FALSE(sessions[1]->over());
  EXPECT_FALSE(other->over());
  EXPECT_TRUE(open("other")->connected());
}

}  // namespace
}  // namespace leat::agent
