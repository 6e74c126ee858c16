// Strangers who come and go, at any speed, against what an agent puts up with: two sessions in
// virtual time.
#include "relay/reset_pace.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "mux/session.h"

namespace leat::relay {
namespace {

using namespace std::chrono_literals;
using mux::Fatal;
using mux::Role;
using mux::StreamHandle;

class World : public ::testing::Test, private mux::Events {
 protected:
  // Whatever the sessions have to say to each other.
  Fatal exchange() {
    std::array<std::uint8_t, 16384> record;
    for (bool any = true; any;) {
      any = false;
      for (auto* from : {&relay, &agent}) {
        auto& to = from == &relay ? agent : relay;
        const std::size_t n = from->pull(record, now);
        any = any || n > 0;
        const Fatal fault = to.feed(Bytes(record).first(n), now);
        if (fault != Fatal::none) return fault;
      }
    }
    return Fatal::none;
  }
  bool may_open() { return pace.allows(relay.stats().resets_out, now); }
  void reset(mux::Session& by, std::vector<StreamHandle>& streams) {
    for (const StreamHandle stream : streams) by.reset(stream);
    streams.clear();
  }

  Time now{1000s};
  ResetPace pace;
  std::vector<StreamHandle> at_agent;  // opened by the relay, oldest first
  mux::Session agent{mux::Config::native(Role::client), *this, now};
  mux::Session relay{mux::Config::native(Role::server), *this, now};

 private:
  void on_open(StreamHandle stream) override { at_agent.push_back(stream); }
  void on_go_away() override {}
  void on_want_pull() override {}
};

using ResetPaceTest = World;

TEST_F(ResetPaceTest, AllThatMayBeOpenMayEndAtOnce) {
  for (const bool visitors_leave : {true, false}) {
    std::vector<StreamHandle> open;
    const StreamHandle honest = *relay.open(now);
    while (may_open()) {
      const auto stream = relay.open(now);
      if (!stream) break;
      open.push_back(*stream);
    }
    ASSERT_EQ(open.size(), limits::kMaxStreamsNative - 1);
    ASSERT_EQ(exchange(), Fatal::none);
    if (visitors_leave) {
      reset(relay, open);
    } else {  // the service behind the agent was started again
      at_agent.erase(at_agent.begin());
      reset(agent, at_agent);
    }
    ASSERT_EQ(exchange(), Fatal::none) << (visitors_leave ? "agent" : "relay");
    EXPECT_TRUE(relay.alive(honest));
    EXPECT_EQ(relay.stats().streams, 1u);
    relay.reset(honest);
    ASSERT_EQ(exchange(), Fatal::none);
    at_agent.clear();
    now += 60s;
  }
}

// Half of the session's streams are held, the others opened and reset as fast as there is leave,
// and then all go at once.
TEST_F(ResetPaceTest, ARapidResetStaysBelowWhatTheAgentTakes) {
  std::vector<StreamHandle> held, brief;
  while (held.size() < limits::kMaxStreamsNative / 2 && may_open()) {
    held.push_back(*relay.open(now));
  }
  ASSERT_EQ(exchange(), Fatal::none);
  const Time end = now + 30s;
  for (; now < end; now += 50ms) {
    while (may_open()) {
      const auto stream = relay.open(now);
      if (!stream) break;
      brief.push_back(*stream);
    }
    ASSERT_EQ(exchange(), Fatal::none);
    reset(relay, brief);
    ASSERT_EQ(exchange(), Fatal::none) << relay.stats().resets_out;
  }
  EXPECT_GT(relay.stats().resets_out, limits::kRelayResets.burst) << "else this shows nothing";
  reset(relay, held);
  EXPECT_EQ(exchange(), Fatal::none);
  // It passes.
  EXPECT_FALSE(may_open());
  now += 30s;
  EXPECT_TRUE(may_open());
}

// The same while the network holds everything up, for as long as no carrier is given up for it: all
// of it reaches the agent at once.
TEST_F(ResetPaceTest, WhatTheNetworkHeldUpStaysBelowToo) {
  constexpr std::size_t kBatch = 1000;
  std::vector<std::uint8_t> under_way;
  const auto send = [&] {
    std::array<std::uint8_t, 16384> record;
    while (const std::size_t n = relay.pull(record, now)) {
      under_way.insert(under_way.end(), record.begin(), record.begin() + static_cast<long>(n));
    }
  };
  const auto open = [&](std::size_t most) {
    std::vector<StreamHandle> opened;
    while (opened.size() < most && may_open()) opened.push_back(*relay.open(now));
    send();
    return opened;
  };
  std::vector<StreamHandle> held = open(limits::kMaxStreamsNative - kBatch);
  for (const Time end = now + limits::kLinkDead; now < end; now += 50ms) {
    for (auto brief = open(kBatch); !brief.empty(); brief = open(kBatch)) {
      reset(relay, brief);
      send();
    }
  }
  reset(relay, held);
  send();
  EXPECT_GT(relay.stats().resets_out, limits::kRelayResets.burst * 9 / 10) << "else this is easy";
  EXPECT_EQ(agent.feed(under_way, now), Fatal::none) << relay.stats().resets_out;
}

TEST_F(ResetPaceTest, WhatEndsCleanlyIsNotCounted) {
  for (int i = 0; i < 1'000'000; ++i) ASSERT_TRUE(pace.allows(7, now));
}

}  // namespace
}  // namespace leat::relay
