// Sealed sessions of devices that come directly, by the client of `leat connect`: how many there
// may be, and what a service that runs for one sees when it may not any more.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/devices.h"
#include "agent/world.h"
#include "connect/client.h"
#include "connect/session.h"
#include "control/wire.h"
#include "crypto/identity.h"
#include "crypto/unit.h"
#include "net/socket_address.h"
#include "proto/control.pb.h"

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

// A device that opens one stream and does not say all that it should.
class Mute final : private connect::Session::Owner, private mux::Source, private mux::Sink {
 public:
  Mute(net::Loop& loop, connect::KnownAgent known, std::string words)
      : loop_(loop), known_(std::move(known)), words_(std::move(words)) {
    connect::Session::Owner& owner = *this;
    const HostPort direct = parse_host_port(known_.agent.direct.at(0)).value();
    session_ = std::make_unique<connect::Session>(
        loop.shard, connect::Session::Plan{known_, credential_, {{direct, nullptr, {}, {}}}},
        owner);
    session_->start();
  }

  bool connected() const { return connected_; }
  bool cut() const { return cut_; }
  bool ended() const { return ended_; }

 private:
  void on_usable() override {
    auto& mux = session_->driver()->mux();
    const auto stream = mux.open(loop_.shard.now());
    ASSERT_TRUE(stream && mux.attach(*stream, this, this));
    mux.wake(*stream);
  }
  void on_connected(const std::string&) override { connected_ = true; }
  void on_session_end(const Error&) override { ended_ = true; }
  mux::Produced produce(MutableBytes out) override {
    const std::size_t n = std::min(out.size(), words_.size());
    if (n == 0) return mux::Produced::not_ready();
    std::memcpy(out.data(), words_.data(), n);
    words_.erase(0, n);
    return mux::Produced::bytes(n);
  }
  std::size_t deliver(Bytes data) override { return data.size(); }
  void end() override {}
  void reset(mux::ResetReason) override { cut_ = true; }

  net::Loop& loop_;
  const connect::KnownAgent known_;
  const connect::Credential credential_{known_.own, "mute", {}, {}};
  std::string words_;
  bool connected_ = false, cut_ = false, ended_ = false;
  std::unique_ptr<connect::Session> session_;
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
  // Connected to where sealed sessions come directly, and silent.
  net::Fd knock() {
    const HostPort to = agent->status().ways->direct.at(0);
    const auto address = net::SocketAddress::numeric(to).value();
    net::Fd out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(out.get(), address.get(), address.size), 0);
    return out;
  }
  // All that comes until the end; nothing: it was reset, or there is no end yet.
  std::string last_words(const net::Fd& socket) {
    std::array<char, 256> buffer;
    std::string out;
    ssize_t n = -1;
    EXPECT_TRUE(both([&] {
      while ((n = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
        out.append(buffer.data(), static_cast<std::size_t>(n));
      }
      return n == 0 || (errno != EAGAIN && errno != EINTR);
    }));
    return n == 0 ? out : "";
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

TEST_F(SealedSessionsTest, WhoGoesForOthersIsToldWhy) {
  std::vector<net::Fd> guests;
  guests.push_back(knock());
  pair("phone");
  open("phone");  // when it is through, the first of the guests has long been there
  for (int i = 1; i < 9; ++i) guests.push_back(knock());
  EXPECT_EQ(last_words(guests[0]), crypto::refused_unit("LEAT_AGENT_BUSY"));
}

#ifndef LEAT_SANITIZED  // so many sessions take minutes there
TEST_F(SealedSessionsTest, AFullAgentSaysThatItIsFull) {
  for (int i = 0; i < 16; ++i) pair("device-" + std::to_string(i));
  for (int i = 0; i < 256; ++i) ASSERT_TRUE(open("device-" + std::to_string(i / 16)).connected());
  pair("beyond");
  const Device& beyond = open("beyond");
  ASSERT_TRUE(beyond.over());
  EXPECT_EQ(beyond.over()->code, Code::AGENT_BUSY);
  EXPECT_EQ(last_words(knock()), crypto::refused_unit("LEAT_AGENT_BUSY"));
  for (int i = 0; i < 256; ++i) ASSERT_FALSE(opened[static_cast<std::size_t>(i)]->over());
}
#endif

TEST_F(SealedSessionsTest, AStreamHasTenSecondsForPreambleAndHead) {
  pair("phone");
  proto::OpenStream preamble;
  preamble.set_tunnel("den");
  preamble.set_kind(proto::KIND_HTTP);
  std::string words;
  control::append_message(preamble, words);
  const auto agent_known = [this] {
    return connect::KnownAgent::find(devices.path(), "phone").value();
  };
  const Time start = std::chrono::steady_clock::now();
  const Mute none(away, agent_known(), words.substr(0, 3));
  const Mute preambled(away, agent_known(), words + "GET / HTTP/1.1\r\nHost:");
  ASSERT_TRUE(both([&] { return preambled.cut() && none.cut(); }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(9));
  EXPECT_FALSE(preambled.ended() || none.ended());
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
