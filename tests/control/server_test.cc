// The relay's column of docs/protocol.md §3.2.
#include "control/server.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "control/control_fixture.h"

namespace leat::control {
namespace {

using namespace test;

class ServerTest : public ::testing::Test {
 protected:
  Result<void> feed(std::string_view bytes) { return server.feed(as_bytes(bytes)); }
  void greet() {
    ASSERT_TRUE(feed(hello()));
    server.welcome("s1", "home");
    server.take_output();
    events.log.clear();
  }
  void expect_failed(const Result<void>& result, Code code) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code);
    const auto out = messages(server.take_output());
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(out.back().failure().code(), info(code).name);
  }

  ServerLog events;
  Server server{events, key()};
};

TEST_F(ServerTest, HelloIsPutToTheOwnerWhoMayAnswerLater) {
  ASSERT_TRUE(feed(hello()));
  EXPECT_EQ(events.log, (std::vector<std::string>{"hello t0ken"}));
  EXPECT_EQ(events.last_hello.identity, key());
  EXPECT_EQ(events.last_hello.kind, HelloInfo::Credential::token);
  EXPECT_FALSE(server.has_output());
  server.welcome("s1", "home");
  const auto out = messages(server.take_output());
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].welcome().version(), 1u);
  EXPECT_EQ(out[0].welcome().session(), "s1");
  EXPECT_EQ(out[0].welcome().credential_name(), "home");
}

TEST_F(ServerTest, HandlersMayAnswerFromInside) {
  events.on_hello_then = [this] { server.welcome("s1", "home"); };
  events.on_bind_then = [this](std::uint32_t request, const TunnelRequest& tunnel) {
    if (tunnel.id == "taken") return server.refused(request, {Code::TUNNEL_TAKEN, "taken"});
    server.bound(request, {tunnel.id, {"https://r/t/" + tunnel.id}, 0});
    server.notice({Code::DRAINING, "soon"});
  };
  ASSERT_TRUE(feed(hello() + bind(1, "chat") + bind(2, "taken")));
  const auto out = messages(server.take_output());
  ASSERT_EQ(out.size(), 4u);
  EXPECT_TRUE(out[0].has_welcome());
  EXPECT_EQ(out[1].bound().request(), 1u);
  EXPECT_EQ(out[1].bound().urls(0), "https://r/t/chat");
  EXPECT_TRUE(out[2].has_notice());
  EXPECT_EQ(out[3].bound().failure().code(), "LEAT_TUNNEL_TAKEN");
}

TEST_F(ServerTest, AFailureFromInsideStopsReading) {
  events.on_hello_then = [this] { server.fail({Code::BAD_TOKEN, "unknown"}); };
  expect_failed(feed(hello() + bind(1, "chat")), Code::BAD_TOKEN);
  EXPECT_EQ(events.log.size(), 1u);
  server.welcome("late", "late");
  server.drain("late", 0, 0);
  server.fail({Code::INTERNAL, "late"});
  EXPECT_FALSE(server.has_output());
  EXPECT_EQ(feed(hello()).error().code, Code::BAD_TOKEN);
}

TEST_F(ServerTest, Credentials) {
  using Credential = HelloInfo::Credential;
  proto::Control message;
  proto::Hello& h = *message.mutable_hello();
  h.set_version_min(1);
  h.set_version_max(1);
  h.set_identity(std::string(as_chars(key())));
  const auto kind = [&] {
    ServerLog log;
    Server s(log, key());
    EXPECT_TRUE(s.feed(as_bytes(framed(message))));
    return log.last_hello.kind;
  };
  EXPECT_EQ(kind(), Credential::none);
  h.set_jwt("j");
  EXPECT_EQ(kind(), Credential::jwt);
  h.set_join_code("c");
  EXPECT_EQ(kind(), Credential::join_code);
}

TEST_F(ServerTest, AnotherIdentityIsRefused) {
  expect_failed(feed(hello(key(8))), Code::BAD_IDENTITY);
  EXPECT_TRUE(events.log.empty());
}

TEST_F(ServerTest, AnIdentityOfAnotherLengthIsRefused) {
  for (const std::size_t size : {0, 31, 33}) {
    ServerLog log;
    Server s(log, key());
    proto::Control message;
    message.mutable_hello()->set_version_min(1);
    message.mutable_hello()->set_version_max(1);
    message.mutable_hello()->set_identity(std::string(size, 7));
    EXPECT_EQ(s.feed(as_bytes(framed(message))).error().code, Code::BAD_IDENTITY);
  }
}

TEST_F(ServerTest, Versions) {
  const auto result = [](std::uint32_t min, std::uint32_t max) {
    ServerLog log;
    Server s(log, key());
    proto::Control message;
    message.mutable_hello()->set_version_min(min);
    message.mutable_hello()->set_version_max(max);
    message.mutable_hello()->set_identity(std::string(as_chars(key())));
    const auto fed = s.feed(as_bytes(framed(message)));
    return fed ? std::string("ok") : std::string(info(fed.error().code).name);
  };
  EXPECT_EQ(result(1, 1), "ok");
  EXPECT_EQ(result(1, 9), "ok");
  EXPECT_EQ(result(0, 1), "ok");
  EXPECT_EQ(result(2, 9), "LEAT_VERSION_MISMATCH");
  EXPECT_EQ(result(0, 0), "LEAT_VERSION_MISMATCH");
  EXPECT_EQ(result(2, 1), "LEAT_VERSION_MISMATCH");
}

TEST_F(ServerTest, NamesAreBoundedAndPrintable) {
  proto::Control message;
  ASSERT_TRUE(message.ParseFromString(messages(hello())[0].SerializeAsString()));
  message.mutable_hello()->set_name("attic\n\x1b[2J");
  message.mutable_hello()->set_software(std::string(255, 's'));
  ASSERT_TRUE(feed(framed(message)));
  EXPECT_EQ(events.last_hello.host_name, "attic??[2J");
  EXPECT_EQ(events.last_hello.software, std::string(255, 's'));

  message.mutable_hello()->set_name(std::string(256, 'x'));
  Server other(events, key());
  EXPECT_EQ(other.feed(as_bytes(framed(message))).error().code, Code::PROTOCOL);
}

TEST_F(ServerTest, BindBoundUnbind) {
  greet();
  ASSERT_TRUE(feed(bind(1, "chat") + bind(5, "", proto::KIND_TCP, 2222)));
  EXPECT_EQ(events.log, (std::vector<std::string>{"bind 1 chat http 0", "bind 5  tcp 2222"}));
  server.bound(5, {"generated", {"tcp://r:2222"}, 2222});
  server.bound(5, {"generated", {}, 2222});  // answered already
  server.bound(7, {"never-asked", {}, 0});
  server.refused(5, {Code::INTERNAL, "late"});
  server.bound(1, {"chat", {}, 0});
  const auto out = messages(server.take_output());
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].bound().request(), 5u);
  EXPECT_EQ(out[0].bound().tunnel(), "generated");
  EXPECT_EQ(out[0].bound().remote_port(), 2222u);
  EXPECT_FALSE(out[0].bound().has_failure());
  events.log.clear();
  ASSERT_TRUE(feed(unbind("chat") + unbind("chat") + unbind("never-bound")));
  EXPECT_EQ(events.log, (std::vector<std::string>{"unbind chat"}));
  EXPECT_FALSE(server.has_output());
}

TEST_F(ServerTest, ABadBindFailsAlone) {
  greet();
  ASSERT_TRUE(feed(bind(1, "No_Id") + bind(2, "x", proto::KIND_UNSPECIFIED) +
                   bind(3, "x", static_cast<proto::Kind>(9)) +
                   bind(4, "x", proto::KIND_TCP, 65536) + bind(5, "good")));
  EXPECT_EQ(events.log, (std::vector<std::string>{"bind 5 good http 0"}));
  const auto out = messages(server.take_output());
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[0].bound().failure().code(), "LEAT_BAD_TUNNEL_ID");
  EXPECT_EQ(out[1].bound().failure().code(), "LEAT_VERSION_MISMATCH");
  EXPECT_EQ(out[2].bound().failure().code(), "LEAT_VERSION_MISMATCH");
  EXPECT_EQ(out[3].bound().failure().code(), "LEAT_PORT_REFUSED");
}

TEST_F(ServerTest, HostsAreNamesAndTimesHaveBounds) {
  greet();
  const auto with = [](std::uint32_t request, const std::vector<std::string>& hosts,
                       std::uint32_t first_byte = 0, std::uint32_t idle = 0) {
    proto::Control message;
    proto::Bind& bind = *message.mutable_bind();
    bind.set_request(request);
    bind.set_tunnel("x");
    bind.set_kind(proto::KIND_HTTP);
    for (const std::string& host : hosts) bind.add_hosts(host);
    bind.set_first_byte_ms(first_byte);
    bind.set_idle_ms(idle);
    return framed(message);
  };
  TunnelRequest arrived;
  events.on_bind_then = [&](std::uint32_t, const TunnelRequest& tunnel) { arrived = tunnel; };
  std::uint32_t request = 0;
  for (const char* bad :
       {"x", "Shop.example", "10.0.0.1", "*.example", "a..b", "a.b.", "a.b:1", "a/b.c"}) {
    ASSERT_TRUE(feed(with(++request, {"good.example", bad})));
    const auto out = messages(server.take_output());
    ASSERT_EQ(out.size(), 1u) << bad;
    EXPECT_EQ(out[0].bound().failure().code(), "LEAT_BAD_HOST") << bad;
  }
  ASSERT_TRUE(feed(with(++request, std::vector<std::string>(limits::kTunnelHosts + 1, "a.b"))));
  EXPECT_EQ(messages(server.take_output())[0].bound().failure().code(), "LEAT_BAD_HOST");
  EXPECT_TRUE(arrived.hosts.empty()) << "none of these got through";

  ASSERT_TRUE(feed(with(++request, {"a.b"}, 1, 0xffffffff)));
  EXPECT_EQ(arrived.first_byte, limits::kLeastIdle);
  EXPECT_EQ(arrived.idle, limits::kMostIdle);
}

TEST_F(ServerTest, RequestNumbersOnlyGrow) {
  greet();
  ASSERT_TRUE(feed(bind(4, "a")));
  expect_failed(feed(bind(4, "b")), Code::PROTOCOL);
}

TEST_F(ServerTest, RequestZeroIsRefused) {
  greet();
  expect_failed(feed(bind(0, "a")), Code::PROTOCOL);
}

TEST_F(ServerTest, TunnelsAreLimited) {
  greet();
  std::uint32_t request = 0;
  const auto id = [](std::uint32_t n) { return "t" + std::to_string(n); };
  for (std::size_t i = 0; i < limits::kControlTunnels; ++i) {
    ++request;
    ASSERT_TRUE(feed(bind(request, id(request))));
    if (i % 2 == 0) server.bound(request, {id(request), {}, 0});
  }
  ASSERT_TRUE(feed(unbind(id(1))));  // makes room for one
  ++request;
  ASSERT_TRUE(feed(bind(request, id(request))));
  server.refused(request, {Code::TUNNEL_TAKEN, {}});  // and again
  ++request;
  ASSERT_TRUE(feed(bind(request, id(request))));
  ++request;
  expect_failed(feed(bind(request, id(request))), Code::PROTOCOL);
}

TEST_F(ServerTest, AnAgentThatNeverReadsIsCut) {
  greet();
  std::uint32_t request = 0;
  Result<void> result;
  // Each answer is kept until the owner can send it, which it never can.
  while (result && request < 100000) result = feed(bind(++request, "No_Id"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::PROTOCOL);
  EXPECT_LE(server.take_output().size(), limits::kControlOutput + 4096);
}

TEST_F(ServerTest, DrainAndNotice) {
  server.notice({Code::REVOKED, "x"});  // not before welcome
  EXPECT_FALSE(server.has_output());
  greet();
  server.notice({Code::REVOKED, "x"}, "chat");
  server.drain("update", 250, 30000);
  const auto out = messages(server.take_output());
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].notice().failure().code(), "LEAT_REVOKED");
  EXPECT_EQ(out[0].notice().tunnel(), "chat");
  EXPECT_EQ(out[1].drain().reason(), "update");
  EXPECT_EQ(out[1].drain().retry_after_ms(), 250u);
  EXPECT_EQ(out[1].drain().deadline_ms(), 30000u);
}

TEST_F(ServerTest, HealthCountsForBoundTunnelsOnly) {
  greet();
  ASSERT_TRUE(feed(bind(1, "chat")));
  server.bound(1, {"chat", {}, 0});
  events.log.clear();
  ASSERT_TRUE(feed(health("chat", "LEAT_SERVICE_REFUSED") + health("other") + health("chat")));
  EXPECT_EQ(events.log,
            (std::vector<std::string>{"health chat LEAT_SERVICE_REFUSED", "health chat well"}));
  events.log.clear();
  ASSERT_TRUE(feed(unbind("chat") + health("chat")));
  EXPECT_EQ(events.log, (std::vector<std::string>{"unbind chat"}));
}

TEST_F(ServerTest, WhatIsSentIsValidUtf8) {
  greet();
  server.notice({Code::REVOKED, "caf\xe9"});
  EXPECT_EQ(messages(server.take_output()).at(0).notice().failure().text(), "caf?");
}

TEST_F(ServerTest, EveryStateAndMessage) {
  enum Expect { ok, error, failed };
  struct Row {
    const char* name;
    std::string bytes;
    Expect waiting, asked, welcomed;
  };
  const Row table[] = {
      {"Hello", hello(), ok, error, error},
      {"Bind", bind(1, "chat"), error, error, ok},
      {"Unbind", unbind("chat"), error, error, ok},
      {"Leave", leave(), error, error, ok},
      {"Health", health("chat"), error, error, ok},
      {"Shared", shared("chat", 2), error, error, error},
      {"Failure", failure(), failed, failed, failed},
      {"Welcome", welcome(), error, error, error},
      {"Bound", bound(1, "chat"), error, error, error},
      {"Drain", drain(), error, error, error},
      {"Notice", notice(), error, error, error},
      {"newer", newer(), ok, ok, ok},
      {"empty", std::string(1, '\0'), ok, ok, ok},
      {"malformed", "\3abc", error, error, error},
      {"oversized", "\xff\xff\x7f", error, error, error},
  };
  for (const Row& row : table) {
    for (const Expect Row::*state : {&Row::waiting, &Row::asked, &Row::welcomed}) {
      SCOPED_TRACE(row.name);
      ServerLog log;
      Server s(log, key());
      if (state != &Row::waiting) {
        ASSERT_TRUE(s.feed(as_bytes(hello())));
      }
      if (state == &Row::welcomed) s.welcome("s1", "home");
      s.take_output();
      const auto result = s.feed(as_bytes(row.bytes));
      const Expect expected = row.*state;
      EXPECT_EQ(result.has_value(), expected == ok);
      if (expected == ok) continue;
      EXPECT_EQ(result.error().code, expected == failed ? Code::BAD_TOKEN : Code::PROTOCOL);
      EXPECT_EQ(s.has_output(), expected == error);
    }
  }
}

TEST_F(ServerTest, EveryChunkingGivesTheSameEvents) {
  const std::string bytes = hello() + newer() + bind(1, "a") + bind(2, "b") + unbind("a") + leave();
  std::vector<std::string> whole;
  for (std::size_t step = bytes.size(); step > 0; --step) {
    ServerLog log;
    Server s(log, key());
    log.on_hello_then = [&] { s.welcome("s1", "home"); };
    log.on_bind_then = [&](std::uint32_t request, const TunnelRequest& tunnel) {
      s.bound(request, {tunnel.id, {}, 0});
    };
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      ASSERT_TRUE(s.feed(as_bytes(bytes).subspan(at, std::min(step, bytes.size() - at))));
    }
    if (whole.empty()) whole = log.log;
    ASSERT_EQ(log.log, whole) << step;
  }
  EXPECT_EQ(whole.size(), 5u);
}

}  // namespace
}  // namespace leat::control
