// What the relay's log says of the end of an agent's session: who left, and why.
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "relay/world.h"
#include "support/captured.h"

namespace leat::relay {
namespace {

class Leave : public World {
 protected:
  // Of the one session that has ended.
  nlohmann::json left(const test::Captured& log) {
    EXPECT_TRUE(until([&] { return !log.events("agent left").empty() || poll(); }));
    const auto events = log.events("agent left");
    EXPECT_EQ(events.size(), 1u);
    return events.empty() ? nlohmann::json() : events.front();
  }

 private:
  bool poll() {
    look_.arm_in(std::chrono::milliseconds(1));
    return false;
  }
  net::Timer look_{loop.shard, [this] { loop.poke(); }};
};

TEST_F(Leave, AnAgentThatIsStoppedLeavesWithoutAnError) {
  const test::Captured log(log::Format::json);
  const auto agent = online({http()});
  agent->control().leave();
  agent->wake();
  const auto event = left(log);
  EXPECT_EQ(event["by"], "agent");
  EXPECT_FALSE(event.contains("error")) << event;
  EXPECT_EQ(event["credential"], "first");
}

TEST_F(Leave, AnAgentThatIsCutOffIsTheNetworksDoing) {
  const test::Captured log(log::Format::json);
  auto agent = online({http()});
  agent.reset();
  const auto event = left(log);
  EXPECT_EQ(event["by"], "network");
  EXPECT_EQ(event["code"], "LEAT_CARRIER_CUT");
}

TEST_F(Leave, AnAgentThatClosesSaysWhy) {
  const test::Captured log(log::Format::json);
  const auto agent = online({http()});
  agent->driver().close(Code::TUNNEL_TAKEN, "somebody's");
  const auto event = left(log);
  EXPECT_EQ(event["by"], "agent");
  EXPECT_EQ(event["code"], "LEAT_TUNNEL_TAKEN");
}

TEST_F(Leave, OneThatIsReplacedWasEndedByTheRelay) {
  const test::Captured log(log::Format::json);
  const auto first = online({http()});
  const auto second = online({http()});
  const auto event = left(log);
  EXPECT_EQ(event["by"], "relay");
  EXPECT_EQ(event["code"], "LEAT_REPLACED");
}

TEST_F(Leave, ARelayThatStopsSaysSo) {
  const test::Captured log(log::Format::json);
  const auto agent = online({http()});
  bool drained = false;
  relay->drain([&] {
    drained = true;
    loop.poke();
  });
  ASSERT_TRUE(until([&] { return drained; }));
  const auto event = left(log);
  EXPECT_EQ(event["by"], "relay");
  EXPECT_EQ(event["code"], "LEAT_DRAINING");
}

// Who looks for a relay reads its ports there, and is not to find those of a run that is over.
// The next relay may serve while this one lets its visitors end.
TEST_F(Leave, WhoDrainsLeavesTheStateToTheNext) {
  const std::string file = dir / "relay.json";
  relay->drain([] {});
  EXPECT_FALSE(read_file(file, Code::STATE_DIR));
  ASSERT_TRUE(write_file(file, "{}", 0644, Code::STATE_DIR));  // the next one's
  relay.reset();
  EXPECT_TRUE(read_file(file, Code::STATE_DIR));
}

TEST_F(Leave, NoStateIsLeftOfAnEarlierRun) {
  const std::string file = dir / "relay.json";
  EXPECT_TRUE(read_file(file, Code::STATE_DIR));
  relay.reset();
  EXPECT_FALSE(read_file(file, Code::STATE_DIR));

  ASSERT_TRUE(write_file(file, "{\"listen\":\"127.0.0.1:1\"}", 0644, Code::STATE_DIR));  // killed
  const auto taken = net::Listener::open(loop.shard, {"127.0.0.1", 0}, [](net::Fd) {}).value();
  Options options;
  options.listen = taken->address();
  options.state_dir = dir.path();
  ASSERT_FALSE(Relay::start(loop.shard, options));
  EXPECT_FALSE(read_file(file, Code::STATE_DIR)) << "while nobody listens";
}

}  // namespace
}  // namespace leat::relay
