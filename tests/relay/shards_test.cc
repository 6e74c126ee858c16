// A relay of several shards: agents spread over them, connections go from one to another, and what
// is counted for an owner or for the whole relay is counted once.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/limits.h"
#include "relay/accounting.h"
#include "relay/directory.h"
#include "relay/ports.h"
#include "relay/world.h"

namespace leat::relay {
namespace {

using control::TunnelKind;

PublicKey key(std::uint8_t first) {
  PublicKey out{};
  out[0] = first;
  return out;
}

TEST(Directory, AnAgentSitsWhereThereAreFewestAndBesideItsGhost) {
  Directory directory(2);
  const Directory::Seat first(directory, key(1));
  EXPECT_EQ(first.shard(), 0u);
  const Directory::Seat second(directory, key(2));
  EXPECT_EQ(second.shard(), 1u);
  const Directory::Seat again(directory, key(2));
  EXPECT_EQ(again.shard(), 1u) << "though the other has fewer";
  const Directory::Seat third(directory, key(3));
  EXPECT_EQ(third.shard(), 0u);
  std::optional<Directory::Seat> fourth(std::in_place, directory, key(4));
  EXPECT_EQ(fourth->shard(), 0u);
  fourth.reset();
  const Directory::Seat moved(std::move(*std::make_unique<Directory::Seat>(directory, key(5))));
  EXPECT_EQ(moved.shard(), 0u) << "who has left takes no place";
  EXPECT_EQ(Directory::Seat(directory, key(6)).shard(), 1u);
}

TEST(Directory, ShardsTakeTurnsByTheirSessions) {
  Directory directory(3);
  EXPECT_EQ(directory.turn("web", TunnelKind::http), std::nullopt);
  directory.update(2, "web", TunnelKind::http, 1, 1);
  EXPECT_EQ(directory.turn("web", TunnelKind::http), 2u);
  EXPECT_EQ(directory.turn("web", TunnelKind::tcp), std::nullopt) << "it is of another kind";
  directory.update(0, "web", TunnelKind::http, 2, 2);
  std::map<std::size_t, int> turns;
  for (int i = 0; i < 9; ++i) ++turns[*directory.turn("web", TunnelKind::http)];
  EXPECT_EQ(turns, (std::map<std::size_t, int>{{0, 6}, {2, 3}}));
  EXPECT_EQ(directory.count("web"), 3u);
  directory.update(0, "web", TunnelKind::http, 2, 0);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(directory.turn("web", TunnelKind::http), 2u);
  EXPECT_EQ(directory.instead("web", TunnelKind::http, 0), 2u);
  EXPECT_EQ(directory.instead("web", TunnelKind::http, 2), std::nullopt) << "the other is ill";
  directory.update(2, "web", TunnelKind::http, 1, 0);
  turns.clear();
  for (int i = 0; i < 6; ++i) ++turns[*directory.turn("web", TunnelKind::http)];
  EXPECT_EQ(turns, (std::map<std::size_t, int>{{0, 4}, {2, 2}})) << "all are ill";
  directory.update(0, "web", TunnelKind::http, 0, 0);
  directory.update(2, "web", TunnelKind::http, 0, 0);
  EXPECT_FALSE(directory.serves("web", TunnelKind::http));
  EXPECT_EQ(directory.count("web"), 0u);
}

TEST(Directory, AnOwnerHasNoMoreTunnelsThanItMay) {
  Directory directory(2);
  const Account ann("ann", {}, {}), bob("bob", {}, {});
  std::optional<Directory::Held> web = directory.hold(ann, "web", 1);
  EXPECT_TRUE(web);
  EXPECT_FALSE(directory.hold(ann, "raw", 1));
  const auto again = directory.hold(ann, "web", 1);
  EXPECT_TRUE(again) << "by a second agent, it is the same";
  EXPECT_TRUE(directory.hold(bob, "raw", 1));
  web.reset();
  EXPECT_FALSE(directory.hold(ann, "raw", 1)) << "the other agent has it still";
}

// A lease that goes on one thread, and who asks for the same port on another.
TEST(PortsOfTwoShards, OneIsGivenBackWhileItIsAskedFor) {
  net::Shard shard;
  Ports ports({21001, 21001}, [](std::size_t, std::shared_ptr<net::Listener>) {});
  ports.listen_at("127.0.0.1");
  std::atomic<bool> over = false;
  std::thread other([&] {
    while (!over) (void)ports.may_lend("t", 21001);
  });
  for (int i = 0; i < 3000; ++i) {
    const auto lease = ports.lend({0, shard}, "t", 21001, [](net::Fd) {});
    if (!lease) {
      EXPECT_EQ(lease.error().code, Code::PORT_TAKEN);
    }
  }
  over = true;
  other.join();
}

class Shards : public World {
 protected:
  void configure(Options& options) override { options.shards = 3; }

  // On the next shard; answers with its name.
  FakeAgent& serve(const std::string& name) {
    auto made = other_agent(name, {http(name)});
    EXPECT_TRUE(until([&] { return made->settled() || made->ended(); }));
    EXPECT_EQ(made->bound().size(), 1u);
    made->on_served = [name](Served& served) {
      const bool whole = served.has("GET ") || served.has("body");
      if (served.has("\r\n\r\n") && whole && served.unsent() == 0) {
        served.answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<" + name + ">");
      }
    };
    agents.push_back(std::move(made));
    return *agents.back();
  }

  // Begins an answer that does not end.
  void serve_much(const std::string& name, std::size_t size) {
    serve(name).on_served = [size](Served& served) {
      if (served.unsent() > 0) return;
      served.reply().send("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" +
                          std::string(size, 'x'));
    };
  }

  std::vector<std::unique_ptr<FakeAgent>> agents;
};

// Whatever is behind a request when it moves, moves with it.
TEST_F(Shards, OneConnectionSpeaksToAgentsOfAllOfThem) {
  for (const char* name : {"a", "b", "c"}) serve(name);
  for (const bool tls : {true, false}) {
    const auto someone = tls ? visitor() : plain_visitor();
    std::string expected;
    for (int i = 0; i < 60; ++i) {
      const std::string name(1, static_cast<char>('a' + i % 3));
      if (i % 4 == 3) {
        someone->send("POST /tunnel/" + name + "/ HTTP/1.1\r\nHost: relay.test\r\n" +
                      "Content-Length: 4\r\n\r\nbody");
      } else {
        someone->get(i % 7 == 6 ? "/healthz" : "/tunnel/" + name + "/");
        if (i % 7 == 6) continue;
      }
      expected += "<" + name + ">";
    }
    const auto answers = [&] {
      std::string all;
      for (std::size_t at = someone->text().find('<'); at != std::string::npos;
           at = someone->text().find('<', at + 1)) {
        all += someone->text().substr(at, 3);
      }
      return all;
    };
    EXPECT_TRUE(until([&] { return answers().size() == expected.size() || someone->over(); }));
    EXPECT_EQ(answers(), expected) << (tls ? "with TLS" : "without");
    EXPECT_TRUE(until([&] { return someone->count("HTTP/1.1 200") == 60 || someone->over(); }));
  }
}

TEST_F(Shards, AWebSocketGoesToItsAgentWithWhatFollowsItsHead) {
  serve("a");
  FakeAgent& b = serve("b");
  b.on_served = [](Served& served) {
    if (served.unsent() > 0) return;
    if (served.has("ping")) {
      served.send("pong");
    } else if (served.has("\r\n\r\n")) {
      served.reply().send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    }
  };
  const auto someone = visitor();
  someone->get("/tunnel/a/");
  ASSERT_TRUE(until([&] { return someone->has("<a>"); }));
  someone->get("/tunnel/b/",
               "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
  someone->send("ping");
  ASSERT_TRUE(until([&] { return someone->has("pong") || someone->over(); })) << someone->text();
}

// Some of these sockets are so full when they go that nothing tells that they can be written to;
// they are as good as others for as long as they are not read.
TEST_F(Shards, WhoReadsSlowlyGetsBothAnswers) {
  constexpr std::size_t kLeast = 1'000'000, kMost = 4'000'000, kStep = 150'000;
  serve("b");
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (std::size_t size = kLeast; size <= kMost; size += kStep) {
    const std::string name = "a" + std::to_string(size);
    agents.push_back(other_agent(name, {http(name)}));
    agents.back()->on_served = [size](Served& served) {
      if (served.has("\r\n\r\n") && served.unsent() == 0) {
        served.answer("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
                      std::string(size, 'x'));
      }
    };
    FakeAgent& agent = *agents.back();
    ASSERT_TRUE(until([&] { return agent.settled(); }));
    visitors.push_back(plain_visitor());
    ASSERT_TRUE(until([&] { return visitors.back()->ready(); }));
    visitors.back()->pause(true);
    visitors.back()->get("/tunnel/" + name + "/").get("/tunnel/b/");
  }
  pass(limits::kHeadTimeout + std::chrono::seconds(1));
  for (const auto& each : visitors) {
    each->pause(false);
    EXPECT_TRUE(until([&] { return each->has("<b>") || each->over(); }));
    EXPECT_TRUE(each->has("<b>")) << each->text().size();
  }
}

TEST_F(Shards, ARelayEndsWithStreamsOnAllOfThem) {
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (const std::string name : {"a", "b", "c"}) {
    serve_much(name, 4'000'000);
    for (int i = 0; i < 4; ++i) {
      visitors.push_back(visitor());
      visitors.back()->get("/tunnel/" + name + "/");
    }
  }
  ASSERT_TRUE(until([&] {
    return std::ranges::all_of(visitors, [](const auto& one) { return one->has("xxx"); });
  }));
  relay.reset();
  EXPECT_TRUE(until([&] {
    return std::ranges::all_of(visitors, [](const auto& one) { return one->over(); }) &&
           std::ranges::all_of(agents, [](const auto& one) { return one->ended(); });
  }));
}

class ShardsWithAPace : public Shards {
 protected:
  void configure(Options& options) override {
    Shards::configure(options);
    options.plans = {{Plan{.name = "p", .bytes_per_second = 1000}}, "p"};
  }
};

class ShardsWithAQuota : public Shards {
 protected:
  static constexpr std::uint64_t kBytes = 3'000'000;
  void configure(Options& options) override {
    Shards::configure(options);
    options.plans = {{Plan{.name = "p", .tunnels = 3, .bytes_per_day = kBytes}}, "p"};
  }
  // Of today and, at midnight, of the day before.
  std::uint64_t used() {
    const auto store = store::Store::open(dir / "leat.db").value();
    std::uint64_t all = 0;
    const std::vector<store::UsageRow> rows = store->usages("first").value();
    for (const store::UsageRow& row : rows) {
      if (row.period.size() == std::string_view("2026-11-21").size()) {
        all += row.usage.bytes_in + row.usage.bytes_out;
      }
    }
    return all;
  }
};

TEST_F(ShardsWithAQuota, WhatAnOwnerMovesOnAllOfThemIsLimitedToTheByte) {
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (const char* name : {"a", "b", "c"}) serve_much(name, 2'000'000);
  for (int i = 0; i < 9; ++i) {
    const std::string name(1, static_cast<char>('a' + i % 3));
    visitors.push_back(visitor());
    visitors.back()->get("/tunnel/" + name + "/", "Connection: close\r\n");
  }
  ASSERT_TRUE(until(
      [&] { return std::ranges::all_of(visitors, [](const auto& one) { return one->over(); }); }));
  for (const auto& each : agents) {
    EXPECT_TRUE(until([&] { return each->noticed.has_value(); }));
    EXPECT_EQ(each->noticed->code, Code::QUOTA_DAY);
  }
  relay.reset();  // which writes all of it
  EXPECT_EQ(used(), kBytes);
}

TEST_F(ShardsWithAQuota, TunnelsOfAllOfThemAreCounted) {
  for (const char* name : {"a", "b", "c"}) serve(name);
  const auto fourth = other_agent("d", {http("d")});
  ASSERT_TRUE(until([&] { return fourth->settled(); }));
  ASSERT_EQ(fourth->refused().size(), 1u);
  EXPECT_EQ(fourth->refused().begin()->second.code, Code::QUOTA_TUNNELS);
  agents.erase(agents.begin());
  const auto again = [&] {
    agents.push_back(other_agent("e", {http("e")}));
    EXPECT_TRUE(until([&] { return agents.back()->settled(); }));
    return agents.back()->bound().size() == 1;
  };
  bool bound = false;
  for (int tries = 0; tries < 100 && !(bound = again()); ++tries) {
    agents.pop_back();  // the one that left may not have been missed yet
    pass(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(bound);
}

// Held back by their pace, and not yet answered by their agents.
TEST_F(ShardsWithAPace, ARelayEndsWithStreamsThatWait) {
  std::vector<std::unique_ptr<FakeAgent>> raw;
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (const std::string name : {"a", "b", "c"}) {
    raw.push_back(other_agent(name, {tcp(name)}));
    ASSERT_TRUE(until([&] { return raw.back()->settled(); }));
    ASSERT_EQ(raw.back()->bound().size(), 1u);
    visitors.push_back(tcp_visitor(raw.back()->bound().begin()->second.remote_port));
    visitors.back()->send(std::string(50'000, 'x'));
    ASSERT_TRUE(until([&] { return raw.back()->streams.size() == 1; }));
  }
  relay.reset();
  EXPECT_TRUE(until(
      [&] { return std::ranges::all_of(visitors, [](const auto& one) { return one->over(); }); }));
}

TEST_F(Shards, ARevokedCredentialEndsSessionsOfAllOfThem) {
  for (const char* name : {"a", "b", "c"}) serve(name);
  ASSERT_TRUE(store::Store::open(dir / "leat.db").value()->revoke_token("first"));
  for (const auto& each : agents) {
    ASSERT_TRUE(until([&] { return each->ended(); }, std::chrono::seconds(5)));
    EXPECT_EQ(each->why().code, Code::REVOKED);
  }
}

}  // namespace
}  // namespace leat::relay
