// What strangers and token holders try against a relay (threats 3, 4, 9, 15), with real sockets.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>

#include "base/limits.h"
#include "proto/control.pb.h"
#include "relay/agent_session.h"
#include "relay/world.h"

namespace leat::relay {
namespace {

using namespace std::chrono_literals;

using Attack = World;

// Every Bind has an answer, and an agent that grants no window takes none of them.
TEST_F(Attack, AnAgentThatDoesNotReadItsControlStreamIsEnded) {
  const auto honest = online({http()});
  const auto other_key = SigningKey::load_or_create(dir / "other.pem").value();
  FakeAgent hostile(loop, {relay->info().listen, *agent_tls, other_key, token, {}});
  ASSERT_TRUE(until([&] { return hostile.control().welcomed(); }));
  hostile.stop_reading_control();
  std::string binds;
  for (std::uint32_t i = 1; i <= 100'000; ++i) {
    proto::Control message;
    message.mutable_bind()->set_request(i);
    message.mutable_bind()->set_tunnel("-");
    control::append_message(message, binds);
  }
  hostile.say(binds);
  ASSERT_TRUE(until([&] { return hostile.ended(); }));
  EXPECT_EQ(hostile.why().code, Code::PROTOCOL);
  // Not all of it was taken, let alone answered.
  EXPECT_GT(hostile.unsaid(), binds.size() / 4);
  answer_all(*honest, kHello);
  expect_served();
}

TEST_F(Attack, ATokenHasSoManySessionsAndNoMore) {
  std::vector<std::unique_ptr<FakeAgent>> agents;
  for (std::size_t i = 0; i < limits::kTokenSessions; ++i) {
    agents.push_back(other_agent("a" + std::to_string(i), {}));
  }
  const auto all_in = [&] {
    return std::ranges::all_of(agents, [](const auto& a) { return a->control().welcomed(); });
  };
  ASSERT_TRUE(until(all_in));
  auto late = other_agent("late", {});
  ASSERT_TRUE(until([&] { return late->ended(); }));
  EXPECT_EQ(late->why().code, Code::TOO_MANY_SESSIONS) << late->why().text();
  // Who comes back takes the place of its own ghost; who leaves makes one.
  agents.at(0)->vanish();
  agents.push_back(other_agent("a0", {}));
  ASSERT_TRUE(until([&] { return agents.back()->control().welcomed(); }));
  agents.at(1).reset();
  agents.erase(agents.begin() + 1);
  pass(100ms);
  late = other_agent("late", {});
  ASSERT_TRUE(until([&] { return late->control().welcomed() || late->ended(); }));
  EXPECT_FALSE(late->ended());
}

class LittleMemory : public World {
  void configure(Options& options) override { options.memory = 2 * limits::MiB; }
};

// Far below what one session may hold, but more than its part of what all may.
TEST_F(LittleMemory, WhoHoldsMoreThanAPartLosesWhatStalls) {
  const auto greedy = online({http("greedy")});
  const auto honest = other_agent("honest", {http("web")});
  ASSERT_TRUE(until([&] { return honest->settled(); }));
  answer_all(*honest, kHello);
  answer_all(*greedy, "HTTP/1.1 200 OK\r\n\r\n" + std::string(16 * limits::MiB, 'x'));
  std::vector<std::unique_ptr<Visitor>> stalled;
  for (int i = 0; i < 4; ++i) {
    stalled.push_back(visitor(16 * 1024));
    stalled.back()->pause(true);
    stalled.back()->get("/tunnel/greedy/");
  }
  ASSERT_TRUE(until([&] {
    return std::ranges::any_of(greedy->streams,
                               [](const auto& stream) { return stream->was_reset(); });
  }));
  EXPECT_FALSE(greedy->ended());
  expect_served();
}

// The agent's address has changed: the relay has yet to notice, and the agent is back already.
TEST_F(Attack, AGhostGivesBackItsPortsAndNamesAtOnce) {
  auto before = online({http(), tcp("raw", ports.low)});
  ASSERT_TRUE(before->refused().empty());
  before->vanish();
  const auto begin = std::chrono::steady_clock::now();
  const auto after = online({http(), tcp("raw", ports.low)});
  EXPECT_TRUE(after->refused().empty());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s) << "not the time a half-open ghost takes";
  answer_all(*after, kHello);
  expect_served();
  const auto guest = tcp_visitor(ports.low);
  guest->send("x");
  ASSERT_TRUE(until([&] { return after->streams.size() == 2 && after->streams[1]->has("x"); }));
}

class Crowd : public World {
 protected:
  void configure(Options& options) override {
    options.descriptors = 8;
    options.trusted_proxies = {Cidr::parse("127.0.0.9/32").value()};
  }
  // True: it was served, and stays.
  bool come(std::unique_ptr<Visitor> guest) {
    guest->get("/tunnel/web/");
    EXPECT_TRUE(until([&] { return guest->has("hello") || guest->over(); }));
    const bool served = guest->has("hello");
    if (served) stay.push_back(std::move(guest));
    return served;
  }

  std::vector<std::unique_ptr<Visitor>> stay;
};

// Threat 15, at a tunnel's port: who holds many connections open has half of the descriptors at
// most, and all of them three quarters.
TEST_F(Crowd, OneAddressLeavesSomeForOthers) {
  const auto agent = online({http(), tcp("raw", ports.low)});
  for (int i = 0; i < 4; ++i) stay.push_back(tcp_visitor(ports.low));
  ASSERT_TRUE(until([&] { return agent->streams.size() == 4; }));
  const auto fifth = tcp_visitor(ports.low);
  EXPECT_TRUE(until([&] { return fifth->over(); }));
  EXPECT_EQ(agent->streams.size(), 4u);
  agent->streams[3]->cut();  // its place is free again
  ASSERT_TRUE(until([&] { return stay[3]->over(); }));
  const auto sixth = tcp_visitor(ports.low);
  EXPECT_TRUE(until([&] { return agent->streams.size() == 5; }));
}

// The same at the doors of HTTP, where a connection may rest between two requests. It is one of
// them, whichever shard it has come to.
TEST_F(Crowd, WhoRestsBetweenRequestsLeavesSomeForOthersAndForAgents) {
  const auto agent = online({http(), tcp("raw", ports.low)});
  answer_all(*agent, kHello);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(come(plain_visitor("127.0.0.1")));
  EXPECT_TRUE(come(visitor()));
  EXPECT_FALSE(come(plain_visitor("127.0.0.1")));
  EXPECT_FALSE(come(visitor()));
  const auto raw = tcp_visitor(ports.low);
  EXPECT_TRUE(until([&] { return raw->over(); })) << "it has its half, of one kind or of both";
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(come(visitor(0, "127.0.0.2")));
  EXPECT_FALSE(come(plain_visitor("127.0.0.3")));
  EXPECT_FALSE(come(plain_visitor("127.0.0.9"))) << "all of them have three quarters";
  const auto late = other_agent("late", {http("other")});
  EXPECT_TRUE(until([&] { return late->settled(); }));
  auto by_websocket = visitor();
  by_websocket->get("/agent");
  EXPECT_TRUE(until([&] { return by_websocket->has("426"); }))
      << "whoever asks as agents do is heard";
  by_websocket.reset();
  for (const auto& one : stay) {
    one->forget().get("/tunnel/web/");
    EXPECT_TRUE(until([&] { return one->has("hello"); })) << "who is in stays in";
  }
  stay.erase(stay.begin());
  bool served = false;
  for (int tries = 0; tries < 100 && !served; ++tries) {
    pass(10ms);
    served = come(plain_visitor("127.0.0.1"));
  }
  EXPECT_TRUE(served) << "a place is free again";
}

TEST_F(Crowd, AProxyThatSpeaksForManyHasNoHalf) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(come(plain_visitor("127.0.0.9")));
}

// Connections by the thousand that are reset when the agent has heard of them all. The agent counts
// resets, and must not take its relay for hostile; nor may the relay refuse anybody for it.
TEST_F(Attack, VisitorsWhoAllLeaveAtOnceCutNobodyElse) {
  constexpr int kRounds = 5;
  constexpr std::size_t kAtOnce = 4000;  // of two descriptors each
  const auto agent = online({http(), tcp("raw", ports.low)});
  // One who was there before.
  const auto honest = tcp_visitor(ports.low);
  honest->send("x");
  ASSERT_TRUE(until([&] { return agent->streams.size() == 1 && agent->streams[0]->has("x"); }));
  agent->streams[0]->reply();

  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(ports.low);
  for (int round = 1; round <= kRounds; ++round) {
    std::vector<net::Fd> flood;
    for (std::size_t i = 0; i < kAtOnce; ++i) {
      flood.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(
          ::connect(flood.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
      const linger reset{1, 0};
      ::setsockopt(flood.back().get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      // Before the listener's queue overflows.
      if (i % 100 == 99) pass(1ms);
    }
    ASSERT_TRUE(until([&] {
      return agent->ended() ||
             (agent->streams.size() == 1 + kAtOnce && agent->streams.back()->opened());
    }));
    flood.clear();
    ASSERT_TRUE(until([&] {
      return agent->ended() ||
             std::ranges::all_of(agent->streams.begin() + 1, agent->streams.end(),
                                 [](const auto& stream) { return stream->was_reset(); });
    })) << round;
    ASSERT_FALSE(agent->ended()) << agent->why().text();
    agent->streams.resize(1);
  }
  agent->streams[0]->send("y");
  honest->send("z");
  ASSERT_TRUE(until([&] { return honest->has("y") && agent->streams[0]->has("z"); }));
}

// An agent by WebSocket waits for its Hello under the address it came from, and is no visitor then.
TEST_F(Attack, AgentsByWebSocketWaitUnderTheirAddress) {
  std::vector<std::unique_ptr<Visitor>> agents;
  const auto come = [&](const char* from) {
    auto agent = plain_visitor(from);
    agent->get("/agent",
               "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               "Sec-WebSocket-Protocol: leat.1\r\n");
    EXPECT_TRUE(until([&] { return agent->has("\r\n\r\n") || agent->over(); }));
    const bool upgraded = agent->has("HTTP/1.1 101");
    agents.push_back(std::move(agent));
    return upgraded;
  };
  for (std::size_t i = 0; i < limits::kHandshakesOfAddress; ++i) {
    ASSERT_TRUE(come("127.0.0.1")) << i;
  }
  EXPECT_FALSE(come("127.0.0.1"));
  EXPECT_TRUE(come("127.0.0.2"));
}

// Connections that say nothing: before their handshakes, after them as visitors, and as agents.
TEST_F(Attack, SoManyMayWaitAndNoMore) {
  constexpr std::size_t kOfEach = 50;
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  ASSERT_GT(files.rlim_cur, 2 * limits::kHandshakes + 100) << "too few descriptors";

  const auto agent = online({http()});
  answer_all(*agent, kHello);
  // They have shown what they want, and wait no more.
  const auto regular = visitor(), half = visitor(), other_half = visitor(0, "127.0.0.5");
  for (Visitor* one : {regular.get(), half.get(), other_half.get()}) {
    one->get("/tunnel/web/");
    ASSERT_TRUE(until([&] { return one->has("hello"); }));
  }

  std::vector<std::unique_ptr<Visitor>> silent;
  std::vector<std::unique_ptr<FakeAgent>> mute;
  const auto key = SigningKey::load_or_create(dir / "mute.pem").value();
  const FakeAgent::Settings says_nothing{relay->info().listen, *agent_tls, key, token, {}, false};
  for (std::size_t i = 0; i < kOfEach; ++i) {
    silent.push_back(visitor());
    mute.push_back(std::make_unique<FakeAgent>(loop, says_nothing));
  }
  ASSERT_TRUE(until([&] {
    return std::ranges::all_of(silent, [](const auto& one) { return one->ready(); }) &&
           std::ranges::all_of(mute, [](const auto& one) { return one->in_session(); });
  }));
  // The rest has not even begun its handshake.
  for (std::size_t i = 2 * kOfEach; i < limits::kHandshakesOfAddress; ++i) {
    silent.push_back(std::make_unique<Visitor>(loop, relay->info().listen, nullptr));
  }
  ASSERT_TRUE(until(
      [&] { return std::ranges::all_of(silent, [](const auto& one) { return one->ready(); }); }));
  // One address has its share, which is half; everybody else comes in.
  const auto greedy = visitor();
  ASSERT_TRUE(until([&] { return greedy->over(); }));
  EXPECT_FALSE(greedy->ready());
  half->send("GET / HT");  // who was in would wait once more
  EXPECT_TRUE(until([&] { return half->over(); }));
  const auto neighbour = visitor(0, "127.0.0.2");
  neighbour->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return neighbour->has("hello"); }));
  for (std::size_t i = 0; i < limits::kHandshakes - limits::kHandshakesOfAddress; ++i) {
    silent.push_back(
        std::make_unique<Visitor>(loop, relay->info().listen, nullptr, 0, "127.0.0.3"));
  }
  ASSERT_TRUE(until(
      [&] { return std::ranges::all_of(silent, [](const auto& one) { return one->ready(); }); }));
  const auto refused = visitor(0, "127.0.0.4");
  ASSERT_TRUE(until([&] { return refused->over(); }));
  EXPECT_FALSE(refused->ready());
  other_half->send("GET / HT");
  EXPECT_TRUE(until([&] { return other_half->over(); }));
  for (const auto& one : silent) ASSERT_FALSE(one->over()) << "they wait for ten seconds";
  regular->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return regular->count("hello") == 2; })) << "who is in stays in";

  silent.clear();
  mute.clear();
  pass(100ms);
  expect_served();
}

// Without TLS there are as many as there are descriptors, but of each address no more than with it.
class PlainDoor : public World {
 protected:
  void configure(Options& options) override {
    options.trusted_proxies = {Cidr::parse("127.0.0.2/32").value()};
    options.proxy_protocol = {Cidr::parse("127.0.0.3/32").value()};
  }
  void SetUp() override {
    World::SetUp();
    rlimit files{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
    ASSERT_GT(files.rlim_cur, 2 * limits::kHandshakes + 100) << "too few descriptors";
    server = online({http()});
    answer_all(*server, kHello);
  }
  // As many as one address may have, which all say `first` and no more.
  void fill(const char* from, const std::string& first) {
    for (std::size_t i = 0; i < limits::kHandshakesOfAddress; ++i) {
      slow.push_back(plain_visitor(from));
      slow.back()->send(first);
    }
    ASSERT_TRUE(until(
        [&] { return std::ranges::all_of(slow, [](const auto& one) { return one->ready(); }); }));
    // A shard takes its connections one after the other: behind this one it has taken them all.
    ASSERT_TRUE(admitted("127.0.0.5", ""));
  }
  // Several shards take them side by side, and the last of the others may still be counted.
  bool soon_refused(const char* from, const std::string& first) {
    for (int tries = 0; tries < 100; ++tries) {
      if (!admitted(from, first)) return true;
      pass(10ms);
    }
    return false;
  }
  bool admitted(const char* from, const std::string& first) {
    const auto guest = plain_visitor(from);
    guest->send(first).get("/tunnel/web/");
    EXPECT_TRUE(until([&] { return guest->has("hello") || guest->over(); }));
    return guest->has("hello");
  }
  void still_wait() {
    for (const auto& one : slow) ASSERT_FALSE(one->over()) << "they wait for ten seconds";
  }

  std::unique_ptr<FakeAgent> server;
  std::vector<std::unique_ptr<Visitor>> slow;
};

TEST_F(PlainDoor, AnAddressHasItsShare) {
  const auto regular = plain_visitor();
  regular->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return regular->has("hello"); }));
  fill("127.0.0.1", "GET / HT");
  EXPECT_TRUE(soon_refused("127.0.0.1", ""));
  EXPECT_TRUE(admitted("127.0.0.4", ""));
  regular->forget().get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return regular->has("hello"); })) << "who is in stays in";
  still_wait();
  slow.clear();
  pass(100ms);
  EXPECT_TRUE(admitted("127.0.0.1", ""));
}

// A head waits when it is not whole, whichever it is of its connection's.
TEST_F(PlainDoor, LaterHeadsWaitLikeTheFirst) {
  const auto regular = plain_visitor();
  regular->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return regular->has("hello"); }));
  // Whole ones may be as many as there are connections.
  constexpr std::size_t kBatch = 300;
  static_assert(2 * kBatch > limits::kHandshakesOfAddress);
  for (int batch = 0; batch < 2; ++batch) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      slow.push_back(plain_visitor("127.0.0.1"));
      slow.back()->get("/healthz");
    }
    ASSERT_TRUE(until([&] {
      return std::ranges::all_of(slow, [](const auto& one) { return one->has("\"ok\""); });
    }));
  }
  for (const auto& one : slow) one->forget().send("GET / HT");
  const auto left = [&] {
    return static_cast<std::size_t>(
        std::ranges::count_if(slow, [](const auto& one) { return !one->over(); }));
  };
  // Several shards count side by side.
  EXPECT_TRUE(until([&] { return left() <= limits::kHandshakesOfAddress + 1; }));
  EXPECT_TRUE(admitted("127.0.0.4", "")) << "who comes from elsewhere";
  regular->forget().get("/tunnel/web/");
  EXPECT_TRUE(until([&] { return regular->has("hello"); })) << "whose head comes whole";
  EXPECT_GE(left(), limits::kHandshakesOfAddress) << "they wait for ten seconds";
  // Heads that become whole wait no more, and make place for others.
  for (const auto& one : slow) one->send("TP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(until([&] {
    return std::ranges::all_of(
        slow, [](const auto& one) { return one->has("LEAT_NO_SUCH_PATH") || one->over(); });
  }));
  EXPECT_GE(left(), limits::kHandshakesOfAddress);
  EXPECT_TRUE(admitted("127.0.0.1", ""));
}

TEST_F(PlainDoor, AProxyThatSpeaksForManyHasNoShare) {
  fill("127.0.0.2", "GET / HT");
  EXPECT_TRUE(admitted("127.0.0.2", ""));
  still_wait();
}

TEST_F(PlainDoor, BehindAProxyHeaderTheAddressInItCounts) {
  const std::string greedy = "PROXY TCP4 192.0.2.1 192.0.2.9 1 2\r\n";
  const std::string other = "PROXY TCP4 192.0.2.2 192.0.2.9 1 2\r\n";
  fill("127.0.0.3", greedy + "GET / HT");
  EXPECT_TRUE(soon_refused("127.0.0.3", greedy));
  EXPECT_TRUE(admitted("127.0.0.3", other));
  // One that is trusted to say in a field whom it speaks for.
  EXPECT_TRUE(admitted("127.0.0.3", "PROXY TCP4 127.0.0.2 192.0.2.9 1 2\r\n"));
  still_wait();
}

}  // namespace
}  // namespace leat::relay
