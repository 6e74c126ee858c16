// The agent's column of docs/protocol.md §3.2.
#include "control/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/control_fixture.h"

namespace leat::control {
namespace {

using namespace test;

class ClientTest : public ::testing::Test {
 protected:
  Result<void> feed(std::string_view bytes) { return client.feed(as_bytes(bytes)); }
  void greet() {
    client.take_output();
    ASSERT_TRUE(feed(welcome()));
    client.take_output();
    events.log.clear();
  }

  ClientLog events;
  Client client{events,
                key(),
                Secret("t0ken"),
                "attic",
                {{"chat", TunnelKind::http, true, 0}, {"", TunnelKind::tcp, false, 2222}}};
};

TEST_F(ClientTest, SaysHelloFirstAndNothingElse) {
  const auto out = messages(client.take_output());
  ASSERT_EQ(out.size(), 1u);
  const proto::Hello& hello = out[0].hello();
  EXPECT_EQ(hello.version_min(), 1u);
  EXPECT_EQ(hello.version_max(), 1u);
  EXPECT_EQ(hello.identity(), as_chars(key()));
  EXPECT_EQ(hello.token(), "t0ken");
  EXPECT_EQ(hello.name(), "attic");
  EXPECT_EQ(hello.software().substr(0, 5), "leat/");
  EXPECT_FALSE(client.has_output());
}

TEST_F(ClientTest, WithoutATokenNoCredentialIsSent) {
  Client bare(events, key(), Secret(), "attic", {});
  EXPECT_EQ(messages(bare.take_output())[0].hello().credential_case(),
            proto::Hello::CREDENTIAL_NOT_SET);
}

TEST_F(ClientTest, BindsEachTunnelOnceWelcome) {
  client.take_output();
  ASSERT_TRUE(feed(welcome()));
  EXPECT_TRUE(client.welcomed());
  EXPECT_EQ(events.log, (std::vector<std::string>{"welcome s1 home"}));
  const auto out = messages(client.take_output());
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].bind().request(), 1u);
  EXPECT_EQ(out[0].bind().tunnel(), "chat");
  EXPECT_EQ(out[0].bind().kind(), proto::KIND_HTTP);
  EXPECT_TRUE(out[0].bind().public_());
  EXPECT_EQ(out[1].bind().request(), 2u);
  EXPECT_EQ(out[1].bind().tunnel(), "");
  EXPECT_EQ(out[1].bind().kind(), proto::KIND_TCP);
  EXPECT_EQ(out[1].bind().remote_port(), 2222u);
}

TEST_F(ClientTest, BoundInAnyOrder) {
  greet();
  proto::Control second;
  second.mutable_bound()->set_request(2);
  second.mutable_bound()->set_tunnel("generated");
  second.mutable_bound()->add_urls("tcp://relay:2222");
  second.mutable_bound()->set_remote_port(2222);
  proto::Control first;
  first.mutable_bound()->set_request(1);
  first.mutable_bound()->mutable_failure()->set_code("LEAT_TUNNEL_TAKEN");
  ASSERT_TRUE(feed(framed(second) + framed(first)));
  EXPECT_EQ(events.log, (std::vector<std::string>{"bound 1 generated tcp://relay:2222 2222",
                                                  "failed 0 LEAT_TUNNEL_TAKEN"}));
}

TEST_F(ClientTest, BoundMustAnswerABindOnceAndToTheLetter) {
  const auto refused = [](const std::string& bytes) {
    ClientLog log;
    Client c(log, key(), Secret("t"), "h", {{"chat", TunnelKind::http, true, 0}, {}});
    EXPECT_TRUE(c.feed(as_bytes(welcome())));
    c.take_output();
    const auto result = c.feed(as_bytes(bytes));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::PROTOCOL);
    EXPECT_EQ(messages(c.take_output()).at(0).failure().code(), "LEAT_PROTOCOL");
  };
  refused(bound(0, "chat"));
  refused(bound(3, "chat"));
  refused(bound(UINT32_MAX, "chat"));
  refused(bound(1, "chat") + bound(1, "chat"));
  refused(bound(1, "other"));
  refused(bound(2, ""));
  refused(bound(2, "No_Id"));
  proto::Control port;
  port.mutable_bound()->set_request(2);
  port.mutable_bound()->set_tunnel("x");
  port.mutable_bound()->set_remote_port(65536);
  refused(framed(port));
}

TEST_F(ClientTest, ARefusedTunnelMayBeAskedForAgain) {
  client.bind(0, {"early", TunnelKind::http, true, 0});
  greet();
  EXPECT_FALSE(client.has_output()) << "not before Welcome";
  proto::Control refused;
  refused.mutable_bound()->set_request(1);
  refused.mutable_bound()->mutable_failure()->set_code("LEAT_TUNNEL_TAKEN");
  ASSERT_TRUE(feed(framed(refused)));
  client.bind(0, {"", TunnelKind::http, true, 0});
  const auto out = messages(client.take_output());
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].bind().request(), 3u);
  EXPECT_EQ(out[0].bind().tunnel(), "");
  ASSERT_TRUE(feed(bound(3, "generated")));
  EXPECT_EQ(events.log.back(), "bound 0 generated");
  EXPECT_FALSE(feed(bound(3, "generated"))) << "once for each request";
}

TEST_F(ClientTest, WhatTheRelaySaysIsMadePrintable) {
  greet();
  proto::Control message;
  message.mutable_bound()->set_request(1);
  message.mutable_bound()->set_tunnel("chat");
  message.mutable_bound()->add_urls("https://x/\x1b]0;gotcha\x07");
  ASSERT_TRUE(feed(framed(message)));
  EXPECT_EQ(events.log.back(), "bound 0 chat https://x/?]0;gotcha?");
}

TEST_F(ClientTest, DrainAndNotice) {
  greet();
  ASSERT_TRUE(feed(drain() + notice()));
  EXPECT_EQ(events.log,
            (std::vector<std::string>{"drain update 250 other:443", "notice LEAT_REVOKED soon"}));
}

TEST_F(ClientTest, ANoticeMayTakeATunnel) {
  greet();
  proto::Control message;
  message.mutable_notice()->mutable_failure()->set_code("LEAT_REVOKED");
  message.mutable_notice()->mutable_failure()->set_text("soon");
  message.mutable_notice()->set_tunnel(
      "ch\x1b"
      "at");
  ASSERT_TRUE(feed(framed(message)));
  EXPECT_EQ(events.log,
            (std::vector<std::string>{"notice LEAT_REVOKED soon", "lost ch?at LEAT_REVOKED"}));
}

TEST_F(ClientTest, ARelayKeepsNobodyAwayForLong) {
  greet();
  ASSERT_TRUE(feed(drain(60'001) + drain(0xffffffff)));
  EXPECT_EQ(events.log, (std::vector<std::string>{"drain update 60000 other:443",
                                                  "drain update 60000 other:443"}));
}

TEST_F(ClientTest, UnbindIsSentOnceWelcome) {
  client.take_output();
  client.unbind("chat");
  EXPECT_FALSE(client.has_output());
  greet();
  client.unbind("chat");
  EXPECT_EQ(messages(client.take_output()).at(0).unbind().tunnel(), "chat");
}

TEST_F(ClientTest, LeaveIsSentOnceWelcome) {
  client.take_output();
  client.leave();
  EXPECT_FALSE(client.has_output());
  greet();
  client.leave();
  EXPECT_TRUE(messages(client.take_output()).at(0).has_leave());
}

TEST_F(ClientTest, AFailureOfTheRelayEndsTheSession) {
  client.take_output();
  const auto result = feed(failure("LEAT_BAD_TOKEN") + welcome());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::BAD_TOKEN);
  EXPECT_EQ(result.error().detail, "no");
  EXPECT_FALSE(client.has_output());
  EXPECT_TRUE(events.log.empty());
  EXPECT_FALSE(feed(welcome()));  // and stays
}

TEST_F(ClientTest, AVersionNotOfferedIsRefused) {
  client.take_output();
  const auto result = feed(welcome(2));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::VERSION_MISMATCH);
  EXPECT_EQ(messages(client.take_output()).at(0).failure().code(), "LEAT_VERSION_MISMATCH");
}

TEST_F(ClientTest, EveryStateAndMessage) {
  enum Expect { ok, error, failed };
  struct Row {
    const char* name;
    std::string bytes;
    Expect greeting, welcomed;
  };
  const Row table[] = {
      {"Welcome", welcome(), ok, error},
      {"Bound", bound(1, "chat"), error, ok},
      {"Drain", drain(), ok, ok},
      {"Notice", notice(), error, ok},
      {"Failure", failure(), failed, failed},
      {"Hello", hello(), error, error},
      {"Bind", bind(1, "chat"), error, error},
      {"Unbind", unbind("chat"), error, error},
      {"Leave", leave(), error, error},
      {"Health", health("chat"), error, error},
      {"Shared", shared("chat", 2), error, ok},
      {"newer", newer(), ok, ok},
      {"empty", std::string(1, '\0'), ok, ok},
      {"malformed", "\3abc", error, error},
      {"oversized", "\xff\xff\x7f", error, error},
  };
  for (const Row& row : table) {
    for (const bool in_welcomed : {false, true}) {
      SCOPED_TRACE(std::string(row.name) + (in_welcomed ? " welcomed" : " greeting"));
      ClientLog log;
      Client c(log, key(), Secret("t"), "h", {{"chat", TunnelKind::http, true, 0}});
      if (in_welcomed) {
        ASSERT_TRUE(c.feed(as_bytes(welcome())));
      }
      c.take_output();
      const auto result = c.feed(as_bytes(row.bytes));
      const Expect expected = in_welcomed ? row.welcomed : row.greeting;
      EXPECT_EQ(result.has_value(), expected == ok);
      if (expected == ok) continue;
      EXPECT_EQ(result.error().code, expected == failed ? Code::BAD_TOKEN : Code::PROTOCOL);
      EXPECT_EQ(c.has_output(), expected == error);
    }
  }
}

TEST_F(ClientTest, EveryChunkingGivesTheSameEvents) {
  const std::string bytes =
      welcome() + newer() + bound(2, "generated") + drain() + bound(1, "chat") + notice();
  std::vector<std::string> whole;
  for (std::size_t step = bytes.size(); step > 0; --step) {
    ClientLog log;
    Client c(log, key(), Secret("t"), "h", {{"chat", TunnelKind::http, true, 0}, {}});
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      ASSERT_TRUE(c.feed(as_bytes(bytes).subspan(at, std::min(step, bytes.size() - at))));
    }
    if (whole.empty()) whole = log.log;
    ASSERT_EQ(log.log, whole) << step;
  }
  EXPECT_EQ(whole.size(), 5u);
}

TEST_F(ClientTest, HandlersMayCallBack) {
  events.then = [this] { client.unbind("chat"); };
  client.take_output();
  ASSERT_TRUE(feed(welcome() + bound(1, "chat")));
  const auto out = messages(client.take_output());
  ASSERT_EQ(out.size(), 4u);  // two Binds, an Unbind from each handler
  EXPECT_TRUE(out[2].has_unbind());
  EXPECT_TRUE(out[3].has_unbind());
}

TEST_F(ClientTest, TunnelsBeyondTheLimitFailHere) {
  ClientLog log;
  Client c(log, key(), Secret("t"), "h", std::vector<TunnelRequest>(1026));
  c.take_output();
  ASSERT_TRUE(c.feed(as_bytes(welcome())));
  EXPECT_EQ(messages(c.take_output()).size(), 1024u);
  EXPECT_EQ(log.log, (std::vector<std::string>{"welcome s1 home", "failed 1024 LEAT_CONFIG",
                                               "failed 1025 LEAT_CONFIG"}));
}

// What an older relay does with rules it does not know is to let everybody in.
TEST(ClientPolicies, NoTunnelWithRulesIsAskedForWhereTheyAreNotEnforced) {
  TunnelRequest guarded{"notes", TunnelKind::http, false, 0, {}};
  guarded.visitors.allow = {"192.0.2.0/24"};
  for (const bool enforced : {false, true}) {
    ClientLog log;
    Client client(log, key(), Secret("t"), "h", {guarded});
    client.take_output();
    proto::Control welcome;
    welcome.mutable_welcome()->set_version(1);
    if (enforced) welcome.mutable_welcome()->add_features(std::string(kPolicyFeature));
    ASSERT_TRUE(client.feed(as_bytes(framed(welcome))));
    const auto said = messages(client.take_output());
    EXPECT_EQ(said.size(), enforced ? 1u : 0u);
    if (enforced) {
      EXPECT_EQ(said[0].bind().access().allow(0), "192.0.2.0/24");
    } else {
      EXPECT_THAT(log.log, testing::Contains("failed 0 LEAT_VERSION_MISMATCH"));
    }
  }
}

// A relay ends the session of whoever sends more than a control message may hold, and every agent
// that comes back would send it again.
TEST(ClientPolicies, RulesThatNoMessageHoldsFailTheirTunnelAlone) {
  TunnelRequest guarded{"notes", TunnelKind::http, true, 0, {}};
  guarded.visitors.tokens.assign(256, {std::string(255, 'a'), {}});
  ClientLog log;
  Client client(log, key(), Secret("t"), "h", {guarded, {"chat", TunnelKind::http, true, 0}});
  client.take_output();
  proto::Control welcome;
  welcome.mutable_welcome()->set_version(1);
  welcome.mutable_welcome()->add_features(std::string(kPolicyFeature));
  ASSERT_TRUE(client.feed(as_bytes(framed(welcome))));
  EXPECT_THAT(log.log, testing::Contains("failed 0 LEAT_BAD_POLICY"));
  std::string out = client.take_output();
  auto said = messages(out);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].bind().tunnel(), "chat");

  log.log.clear();
  client.bind(0, guarded);  // as a reload asks again
  EXPECT_EQ(log.log, (std::vector<std::string>{"failed 0 LEAT_BAD_POLICY"}));
  EXPECT_FALSE(client.has_output());
  guarded.visitors.tokens.resize(1);
  client.bind(0, guarded);
  EXPECT_EQ(messages(client.take_output())[0].bind().tunnel(), "notes");
}

}  // namespace
}  // namespace leat::control
