// What visitors see of the relay: whole answers however slowly they read, and an end to waiting.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/limits.h"
#include "relay/world.h"

namespace leat::relay {
namespace {

using namespace std::chrono_literals;

class Visits : public World {
 protected:
  void configure(Options& options) override { options.admin_listen = HostPort{"127.0.0.1", 0}; }

  static std::string body(std::size_t size) {
    std::string made(size, '\0');
    std::uint64_t state = size;
    for (char& c : made) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      c = static_cast<char>(state >> 56);
    }
    return made;
  }
};

TEST_F(Visits, WithAHeadThatGrowsTooLargeAreToldSo) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  const auto fields = [](std::size_t n) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) text += "X-Field-" + std::to_string(i) + ": x\r\n";
    return text;
  };
  // Host makes one more; what the relay adds comes on top of that.
  const auto many = visitor();
  many->get("/tunnel/web/", fields(limits::kHeaderFields - 1));
  ASSERT_TRUE(until([&] { return many->has("\r\n\r\n"); }));
  EXPECT_TRUE(many->has("HTTP/1.1 431 ")) << many->text();
  EXPECT_TRUE(many->has("LEAT_HEAD_TOO_LARGE"));
  EXPECT_TRUE(agent->streams.empty());
  many->get("/tunnel/web/", fields(limits::kHeaderFields - 10));
  ASSERT_TRUE(until([&] { return many->has("hello"); })) << "the connection goes on";

  const auto large = visitor();
  large->get("/tunnel/web/", "X-Large: " + std::string(limits::kHead - 100, 'x') + "\r\n");
  ASSERT_TRUE(until([&] { return large->has("\r\n\r\n"); }));
  EXPECT_TRUE(large->has("HTTP/1.1 431 ")) << large->text();
}

TEST_F(Visits, WhoSayNothingMeaningfulAfterAHeadAreToldSoAndNoMore) {
  const auto agent = online({http()});
  answer_all(*agent, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  const auto guest = visitor();
  guest->send(
      "HEAD /tunnel/web/ HTTP/1.1\r\nHost: relay.test\r\nX-Request-Id: first\r\n\r\n"
      "GET / HTTP/3.0\r\n\r\n");
  ASSERT_TRUE(until([&] { return guest->over(); }));
  EXPECT_EQ(guest->count("HTTP/1.1 200"), 1u) << guest->text();
  EXPECT_EQ(guest->count("HTTP/1.1 400"), 1u) << guest->text();
  EXPECT_TRUE(guest->has("LEAT_BAD_REQUEST")) << "the body that its length announces";
  EXPECT_EQ(guest->count("X-Request-Id: first"), 1u) << "of the first answer alone";
}

// Threat 12: however a head is written, what goes on is made from what was understood.
TEST_F(Visits, AreSaidAnewAndNotPassedOnAsTheyCame) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  const auto guest = visitor();
  guest->send(
      "GET /./t/%77eb/a/../%7Eb?c HTTP/1.1\r\nhOsT:relay.test\r\nX-A:\t b  c \t\r\n"
      "connection:\tkeep-alive\r\n\r\n");
  ASSERT_TRUE(until([&] { return guest->has("hello"); }));
  const std::string said = agent->streams.at(0)->text();
  EXPECT_NE(said.find("GET /~b?c HTTP/1.1\r\n"), said.npos) << said;
  EXPECT_NE(said.find("\r\nX-A: b  c\r\n"), said.npos) << said;
  EXPECT_EQ(said.find('\t'), said.npos) << said;
}

TEST_F(Visits, ToARootWithoutItsSlashAreAnsweredByTheRelay) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  const auto guest = visitor();
  for (const std::string door : {"/tunnel/web", "/t/web", "/tunnel/nobody"}) {
    guest->forget().get(door + "?sw.js");
    ASSERT_TRUE(until([&] { return guest->has("\r\n\r\n"); }));
    EXPECT_TRUE(guest->has("HTTP/1.1 308 ")) << guest->text();
    EXPECT_TRUE(guest->has("\r\nLocation: " + door + "/?sw.js\r\n")) << guest->text();
  }
  EXPECT_TRUE(agent->streams.empty());
  guest->forget().get("/tunnel/web/?sw.js");
  ASSERT_TRUE(until([&] { return guest->has("hello"); }));
}

// Whether a service heeds X-Forwarded-Prefix or does not know of it.
TEST_F(Visits, AreSentOnWithinTheTunnel) {
  const auto agent = online({http()});
  for (const char* to : {"/login", "/t/web/login", "http://relay.test/login"}) {
    answer_all(*agent, std::string("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ") + to +
                           "\r\nSet-Cookie: a=b; Path=/t/web/\r\n\r\n");
    const auto guest = visitor();
    guest->get("/t/web/");
    ASSERT_TRUE(until([&] { return guest->has("\r\n\r\n"); }));
    EXPECT_EQ(guest->count("/t/web/login\r\n"), 1u) << guest->text();
    EXPECT_EQ(guest->count("/t/web"), 2u) << guest->text();
    EXPECT_TRUE(guest->has("a=b; Path=/t/web/\r\n")) << guest->text();
  }
}

// A service that answers quickly, and a few who ask as fast as it does.
TEST_F(Visits, AreAllServedHoweverQuicklyTheyCome) {
  constexpr std::size_t kVisitors = 6, kBatch = 20, kRequests = 24'000;
  const auto agent = online({http()});
  std::size_t served = 0;
  agent->on_served = [&](Served& stream) {
    if (!stream.has("\r\n\r\n") || stream.unsent() > 0) return;
    ++served;
    stream.answer(kHello);
  };
  std::string batch;
  for (std::size_t i = 0; i < kBatch; ++i) {
    batch += "GET /tunnel/web/ HTTP/1.1\r\nHost: relay.test\r\n\r\n";
  }
  std::vector<std::unique_ptr<Visitor>> guests;
  for (std::size_t i = 0; i < kVisitors; ++i) guests.push_back(plain_visitor());
  for (std::size_t asked = 0; asked < kRequests; asked += kVisitors * kBatch) {
    for (const auto& guest : guests) guest->forget().send(batch);
    ASSERT_TRUE(until([&] {
      return std::ranges::all_of(
          guests, [](const auto& guest) { return guest->count("HTTP/1.1 ") == kBatch; });
    })) << asked;
    for (const auto& guest : guests) {
      ASSERT_EQ(guest->count("HTTP/1.1 200"), kBatch) << asked << ": " << guest->text();
    }
  }
  EXPECT_EQ(served, kRequests);
}

TEST_F(Visits, EndAfterSixteenInterimHeads) {
  const auto agent = online({http()});
  std::string answer;
  for (int i = 0; i < 1000; ++i) answer += "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  agent->on_served = [&](Served& served) {
    if (served.has("\r\n\r\n")) served.reply().send(answer + kHello);
  };
  const auto guest = visitor();
  guest->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return guest->over(); }));
  EXPECT_LE(guest->count("HTTP/1.1 103"), std::size_t{limits::kInterimHeads});
  EXPECT_FALSE(guest->has("HTTP/1.1 200"));
  ASSERT_TRUE(until([&] { return agent->streams.at(0)->was_reset(); }));
  EXPECT_FALSE(agent->ended());
}

// One who has said everything may say so, and still waits for the answer (RFC 9112 §9.6).
TEST_F(Visits, ThatEndBehindARequestAreAnswered) {
  const auto agent = online({http()});
  const auto guest = plain_visitor();
  guest->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return agent->streams.size() == 1 && agent->streams[0]->ended(); }));
  guest->finish();
  pass(50ms);
  ASSERT_FALSE(agent->streams[0]->was_reset());
  agent->streams[0]->answer(kHello);
  ASSERT_TRUE(until([&] { return guest->over(); }));
  EXPECT_TRUE(guest->ended());
  EXPECT_TRUE(guest->has("HTTP/1.1 200") && guest->has("hello")) << guest->text();
}

// … but one that has closed its TLS connection, or reset, is gone, and no agent was lost with it.
TEST_F(Visits, ThatLeaveFreeTheServiceAndCountForNothing) {
  const auto agent = online({http()});
  const auto leave = [&](std::unique_ptr<Visitor> guest, bool reset) {
    const std::size_t before = agent->streams.size();
    guest->get("/tunnel/web/");
    ASSERT_TRUE(until([&] { return agent->streams.size() == before + 1; }));
    ASSERT_TRUE(until([&] { return agent->streams.back()->ended(); }));
    reset ? guest->abort() : guest->finish();
    ASSERT_TRUE(until([&] { return agent->streams.back()->was_reset(); }));
  };
  leave(visitor(), false);
  leave(visitor(), true);
  leave(plain_visitor(), true);
  Visitor operator_at(loop, *relay->info().admin_listen, nullptr);
  operator_at.get("/metrics");
  ASSERT_TRUE(until([&] { return operator_at.has("\nleat_"); }));
  EXPECT_FALSE(operator_at.has("LEAT_AGENT_LOST")) << operator_at.text();
}

TEST_F(Visits, ThatBecomePipesHalfClose) {
  const auto agent = online({http()});
  agent->on_served = [](Served& served) {
    if (!served.has("\r\n\r\n") || served.has("over")) return;
    served.reply().send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
  };
  const auto guest = visitor();
  guest->get("/tunnel/web/", "Connection: upgrade\r\nUpgrade: x\r\n");
  ASSERT_TRUE(until([&] { return guest->has("101"); }));
  Served& pipe = *agent->streams.at(0);
  agent->on_served = nullptr;
  guest->send("over there");
  ASSERT_TRUE(until([&] { return pipe.has("over there"); }));
  pipe.send("and back").finish();
  ASSERT_TRUE(until([&] { return guest->ended(); }));
  EXPECT_TRUE(guest->has("and back"));
  guest->send("still").finish();
  ASSERT_TRUE(until([&] { return pipe.ended(); }));
  EXPECT_TRUE(pipe.has("still"));
}

// One who has ended its direction, and one whom nobody reads from, are not met by reading.
TEST_F(Visits, ThatBecomePipesAndVanishAreReset) {
  const auto agent = online({http()});
  agent->on_served = [](Served& served) {
    if (!served.text().ends_with("\r\n\r\n")) return;
    served.reply().send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
  };
  const auto pipe = [&] {
    auto guest = plain_visitor();
    guest->get("/tunnel/web/", "Connection: upgrade\r\nUpgrade: x\r\n");
    EXPECT_TRUE(until([&] { return guest->has("101"); }));
    return guest;
  };
  const auto silent = pipe();
  silent->finish();
  ASSERT_TRUE(until([&] { return agent->streams.at(0)->ended(); }));
  const auto unread = pipe();
  agent->streams.at(1)->stop_reading();
  unread->send(std::string(8 * limits::MiB, 'x'));
  pass(200ms);
  ASSERT_EQ(agent->driver().mux().stats().streams, 3u);
  silent->abort();
  unread->abort();
  net::Timer look(loop.shard, [&] {
    loop.poke();
    look.arm_in(10ms);
  });
  look.arm_in(10ms);
  EXPECT_TRUE(until([&] { return agent->driver().mux().stats().streams == 1; }));
}

// An answer whose connection ends with it is whole when its last byte is in the relay's buffers,
// which a reader that pauses may leave it in for as long as it likes.
TEST_F(Visits, ThatPauseGetTheWholeTail) {
  const auto agent = online({http()});
  const std::string data = body(16 * limits::MiB);
  std::vector<std::size_t> sizes{data.size()};
  agent->on_served = [&](Served& served) {
    if (!served.has("\r\n\r\n") || served.unsent() > 0) return;
    const auto which = std::stoul(served.text().substr(std::string("GET /").size()));
    served.answer("HTTP/1.1 200 OK\r\n\r\n" + data.substr(0, sizes.at(which)));
  };
  const auto paused_visitor = [&](std::size_t which) {
    auto guest = visitor(64 * 1024);
    guest->pause(true);
    guest->get("/tunnel/web/" + std::to_string(which));
    return guest;
  };
  // How much of an answer leaves the agent for a visitor who reads nothing: it lies in the sockets,
  // in the ring and in the stream's buffer.
  const auto probe = paused_visitor(0);
  ASSERT_TRUE(until([&] { return agent->streams.size() == 1 && agent->streams[0]->opened(); }));
  pass(300ms);
  const std::size_t fits = data.size() - agent->streams[0]->unsent();
  ASSERT_LT(fits, data.size());
  // Answers of about that size are all done with, as far as the agent can tell.
  std::vector<std::unique_ptr<Visitor>> guests;
  for (std::size_t less = 0; less < 600 * limits::KiB; less += 24 * limits::KiB) {
    sizes.push_back(fits - std::min(fits, less));
    guests.push_back(paused_visitor(sizes.size() - 1));
  }
  pass(2500ms);
  for (std::size_t i = 0; i < guests.size(); ++i) {
    guests[i]->pause(false);
    ASSERT_TRUE(until([&] { return guests[i]->over(); }));
    EXPECT_TRUE(guests[i]->ended()) << sizes[i + 1] << " bytes: no close_notify";
    EXPECT_TRUE(guests[i]->body() == data.substr(0, sizes[i + 1])) << guests[i]->body().size();
  }
}

// --- the end of a session ---

TEST_F(Visits, OutlastAnAgentThatLeaves) {
  const auto agent = online({http(), tcp()});
  const std::uint16_t port = agent->bound().at(1).remote_port;
  const std::string data = body(8 * limits::MiB);
  answer_all(*agent, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(data.size()) +
                         "\r\n\r\n" + data);
  const auto slow = visitor(64 * 1024);
  slow->pause(true);
  slow->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return agent->streams.size() == 1 && agent->streams[0]->opened(); }));
  agent->control().leave();
  agent->wake();
  const auto late = visitor();
  late->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return late->has("\r\n\r\n"); }));
  EXPECT_TRUE(late->has("LEAT_AGENT_OFFLINE"));
  const auto later = tcp_visitor(port);
  ASSERT_TRUE(until([&] { return later->over(); }));
  EXPECT_TRUE(later->refused());
  EXPECT_FALSE(agent->ended());
  // The rest of the answer, and nothing of it is lost to the end of the session.
  slow->pause(false);
  ASSERT_TRUE(until([&] { return agent->ended() && slow->body().size() == data.size(); }));
  EXPECT_TRUE(slow->body() == data);
  EXPECT_EQ(agent->why().code, Code::DRAINING);
}

TEST_F(Visits, OutlastARelayThatDrains) {
  const auto agent = online({tcp()});
  const std::uint16_t port = agent->bound().at(0).remote_port;
  const auto guest = tcp_visitor(port);
  guest->send("x");
  ASSERT_TRUE(until([&] { return agent->streams.size() == 1 && agent->streams[0]->has("x"); }));
  agent->streams[0]->reply();
  bool drained = false;
  relay->drain([&] {
    drained = true;
    loop.poke();
  });
  const auto late = tcp_visitor(port);
  ASSERT_TRUE(until([&] { return late->over(); }));
  EXPECT_TRUE(late->refused()) << "its port takes nobody any more";
  agent->streams[0]->send("y");
  ASSERT_TRUE(until([&] { return guest->has("y"); }));
  EXPECT_FALSE(drained);
  agent->streams[0]->finish();
  guest->finish();
  ASSERT_TRUE(until([&] { return drained; }));
  EXPECT_TRUE(guest->ended());
}

TEST_F(Visits, OfATcpTunnelWaitOnlySoLongForAReply) {
  const auto agent = online({tcp()});
  const auto guest = tcp_visitor(agent->bound().at(0).remote_port);
  guest->send("x");
  ASSERT_TRUE(until([&] { return guest->over(); }, limits::kOpenReply + 20s));
  EXPECT_TRUE(guest->failed());
  ASSERT_TRUE(until([&] { return agent->streams.at(0)->was_reset(); }));
  EXPECT_FALSE(agent->ended());
}

}  // namespace
}  // namespace leat::relay
