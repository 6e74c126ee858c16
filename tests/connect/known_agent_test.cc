#include "connect/known_agent.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace leat::connect {
namespace {

Link link(char agent, std::string pairing, std::string name = "home") {
  Link out;
  out.agent.key.bytes.fill(static_cast<std::uint8_t>(agent));
  out.agent.tunnel = std::string("tunnel-") + agent;
  out.agent.name = std::move(name);
  out.agent.relays = {"wss://relay.test:443"};
  out.pairing = std::move(pairing);
  out.secret = Secret("sixteen bytes ok");
  return out;
}

TEST(KnownAgent, ALinkMakesOneAndItIsFoundByEachOfItsNames) {
  const test::TempDir dir;
  const auto made = KnownAgent::of_link(dir.path(), link('a', "11111111")).value();
  EXPECT_FALSE(made.paired);
  for (const char* name : {"home", "tunnel-a"}) {
    const auto found = KnownAgent::find(dir.path(), name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->agent.key, made.agent.key);
    EXPECT_EQ(found->own.public_key(), made.own.public_key());
    EXPECT_EQ(found->agent.relays, made.agent.relays);
  }
  EXPECT_EQ(KnownAgent::find(dir.path(), "other").error().code, Code::UNKNOWN_DEVICE);
  struct stat about {};
  ASSERT_EQ(::stat((dir / "home.agent").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
}

TEST(KnownAgent, TheSameLinkIsTheSameDeviceAndANewOneANewKey) {
  const test::TempDir dir;
  auto made = KnownAgent::of_link(dir.path(), link('a', "11111111")).value();
  made.paired = true;
  ASSERT_TRUE(made.save(dir.path()));
  const auto again = KnownAgent::of_link(dir.path(), link('a', "11111111")).value();
  EXPECT_TRUE(again.paired);
  EXPECT_EQ(again.own.public_key(), made.own.public_key());
  const auto anew = KnownAgent::of_link(dir.path(), link('a', "22222222")).value();
  EXPECT_FALSE(anew.paired);
  EXPECT_EQ(anew.file, "home");
  EXPECT_NE(anew.own.public_key(), made.own.public_key());
}

TEST(KnownAgent, AnotherAgentOfTheSameNameIsAnotherFile) {
  const test::TempDir dir;
  const auto first = KnownAgent::of_link(dir.path(), link('a', "11111111")).value();
  const auto second = KnownAgent::of_link(dir.path(), link('b', "33333333", "../home")).value();
  const auto third = KnownAgent::of_link(dir.path(), link('c', "44444444")).value();
  EXPECT_EQ(first.file, "home");
  EXPECT_EQ(second.file, "---home");
  EXPECT_EQ(third.file, "home-2");
  EXPECT_EQ(KnownAgent::find(dir.path(), "tunnel-c")->agent.key, third.agent.key);
}

TEST(KnownAgent, AFileThatOthersReadOrThatIsDamagedIsRefused) {
  const test::TempDir dir;
  ASSERT_TRUE(KnownAgent::of_link(dir.path(), link('a', "11111111")));
  ASSERT_EQ(::chmod((dir / "home.agent").c_str(), 0644), 0);
  EXPECT_EQ(KnownAgent::find(dir.path(), "home").error().code, Code::KEY_FILE);
  ASSERT_TRUE(write_file(dir / "home.agent", "nonsense", 0600, Code::KEY_FILE));
  EXPECT_EQ(KnownAgent::find(dir.path(), "home").error().code, Code::KEY_FILE);
}

}  // namespace
}  // namespace leat::connect
