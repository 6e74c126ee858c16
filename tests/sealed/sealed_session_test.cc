// A session inside a stream of another, sealed, as a device and an agent have it with a relay
// between them:
//
//   visitor ═ splice ═ inner ─ sealed ─ stream ═ outer ══ socket ══ outer ═ stream ─ sealed ─ inner
//   ═ …
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/session_driver.h"
#include "net/splice.h"
#include "net/stream_transport.h"
#include "net/tls_fixture.h"
#include "sealed/pair.h"
#include "sealed/sealed_transport.h"

namespace leat::sealed {
namespace {

using net::SessionDriver;
using net::Splice;
using net::Talker;

#ifdef LEAT_SANITIZED
constexpr std::size_t kBulk = 2 << 20;
#else
constexpr std::size_t kBulk = 24 << 20;
#endif

class SealedSessionTest : public ::testing::Test {
 protected:
  struct End;
  struct Outer final : SessionDriver::Owner {
    Outer(End& e, mux::Role role, net::Fd carrier)
        : end(e),
          driver(e.test.loop.shard, mux::Config::native(role), *this,
                 net::make_plain_transport(e.test.loop.shard, carrier.release())) {}
    void on_stream(mux::StreamHandle stream) override { end.run_inside(stream); }
    void on_ended(const Error& error) override {
      why = error.text();
      end.test.loop.poke();
    }
    std::string why = "lives";
    End& end;
    SessionDriver driver;
  };
  struct End final : SessionDriver::Owner, Splice::Owner {
    End(SealedSessionTest& owner, mux::Role r, net::Fd socket, crypto::Channel c)
        : test(owner), role(r), channel(std::move(c)), outer(*this, r, std::move(socket)) {}

    // In the sealed session the roles are the other way round: the device is the client.
    void run_inside(mux::StreamHandle stream) {
      auto pipe = net::make_stream_transport(outer.driver.mux(), stream, "", "192.0.2.1:5");
      auto sealed = std::make_unique<SealedTransport>(test.loop.shard, std::move(pipe),
                                                      std::move(channel), Bytes());
      const auto inside = role == mux::Role::server ? mux::Role::client : mux::Role::server;
      driver = std::make_unique<SessionDriver>(test.loop.shard, mux::Config::native(inside), *this,
                                               std::move(sealed));
      driver->start({});
    }
    void join(mux::StreamHandle stream, net::Fd local) {
      splices.push_back(std::make_unique<Splice>(
          *driver, stream, net::make_plain_transport(test.loop.shard, local.release()), "", *this));
      splices.back()->start();
    }
    void on_stream(mux::StreamHandle stream) override { join(stream, std::move(waiting)); }
    void on_ended(const Error& error) override {
      why = error;
      test.loop.poke();
    }
    void on_splice_end(Splice&, bool was_clean) override {
      splice_ended = true;
      clean = was_clean;
      test.loop.poke();
    }

    SealedSessionTest& test;
    const mux::Role role;
    crypto::Channel channel;
    Outer outer;
    std::unique_ptr<SessionDriver> driver;
    net::Fd waiting;
    std::vector<std::unique_ptr<Splice>> splices;
    bool splice_ended = false, clean = false;
    std::optional<Error> why;
  };

  void SetUp() override {
    net::TcpPair carrier = net::tcp_pair(), visit = net::tcp_pair(), far = net::tcp_pair();
    auto [first, second] = channels();
    device = std::make_unique<End>(*this, mux::Role::server, std::move(carrier.server),
                                   std::move(first));
    agent = std::make_unique<End>(*this, mux::Role::client, std::move(carrier.client),
                                  std::move(second));
    agent->waiting = std::move(far.client);
    device->outer.driver.start({});
    agent->outer.driver.start({});
    device->run_inside(*device->outer.driver.mux().open(loop.shard.now()));
    visitor = std::make_unique<Talker>(
        loop, net::make_plain_transport(loop.shard, visit.client.release()), 1);
    service = std::make_unique<Talker>(
        loop, net::make_plain_transport(loop.shard, far.server.release()), 2);
    device->join(*device->driver->mux().open(loop.shard.now()), std::move(visit.server));
  }

  // Made before there is a session, whose streams have seconds to be acknowledged in.
  const std::string up = net::random_text(kBulk, 3), down = net::random_text(kBulk, 4);
  net::Loop loop;
  std::unique_ptr<End> device, agent;
  std::unique_ptr<Talker> visitor, service;
};

TEST_F(SealedSessionTest, BulkBothWaysAndEnds) {
  visitor->send(up, true);
  service->send(down, true);
  const auto done = [](const Talker& end) { return end.ended || end.failed; };
  ASSERT_TRUE(loop.run(
      [&] {
        return device->splice_ended && agent->splice_ended && done(*visitor) && done(*service);
      },
      std::chrono::seconds(60)));
  EXPECT_TRUE(device->clean && agent->clean)
      << (device->why ? device->why->text() : "device: session lives") << "; "
      << (agent->why ? agent->why->text() : "agent: session lives") << "; outside: device's "
      << device->outer.why << ", agent's " << agent->outer.why;
  EXPECT_TRUE(service->received == up);
  EXPECT_TRUE(visitor->received == down);
}

TEST_F(SealedSessionTest, AReaderThatStallsPausesTheSenderAndNothingElse) {
  visitor->reading = false;
  service->send(down, false);
  ASSERT_TRUE(loop.run([&] { return agent->driver && agent->driver->mux().stats().data_out > 0; }));
  // Another stream of the same sealed session is served meanwhile.
  net::TcpPair visit = net::tcp_pair(), far = net::tcp_pair();
  agent->waiting = std::move(far.client);
  Talker second(loop, net::make_plain_transport(loop.shard, visit.client.release()), 6);
  Talker other(loop, net::make_plain_transport(loop.shard, far.server.release()), 7);
  device->join(*device->driver->mux().open(loop.shard.now()), std::move(visit.server));
  other.send("not held up", false);
  ASSERT_TRUE(loop.run([&] { return second.received == "not held up"; }));
}

TEST_F(SealedSessionTest, AClosedSessionSaysWhyAndEndsSealed) {
  visitor->send("x", false);
  ASSERT_TRUE(loop.run([&] { return service->received == "x"; }));
  agent->driver->close(Code::REVOKED, "phone");
  ASSERT_TRUE(loop.run([&] { return device->why && device->why->code == Code::REVOKED; }));
  EXPECT_EQ(device->why->detail, "phone");
  device->splices.clear();
  loop.shard.dispose(std::move(device->driver));
  ASSERT_TRUE(loop.run([&] { return agent->why.has_value(); }));
  EXPECT_EQ(agent->why->code, Code::REVOKED);
}

TEST_F(SealedSessionTest, AStreamThatIsResetOutsideIsACutInside) {
  visitor->send("x", false);
  ASSERT_TRUE(loop.run([&] { return service->received == "x"; }));
  agent->outer.driver.mux().end_all();
  ASSERT_TRUE(loop.run([&] { return agent->why && service->failed; }));
  EXPECT_EQ(agent->why->code, Code::CARRIER_CUT);
}

}  // namespace
}  // namespace leat::sealed
