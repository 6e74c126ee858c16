#include "connect/known_agent.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

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
  ASSERT_TRUE(made.come_through(dir.path()));
  const auto again = KnownAgent::of_link(dir.path(), link('a', "11111111")).value();
  EXPECT_TRUE(again.paired);
  EXPECT_EQ(again.own.public_key(), made.own.public_key());
  // What works is kept until the new link has come through.
  const auto found = [&] { return KnownAgent::find(dir.path(), "tunnel-a")->own.public_key(); };
  auto anew = KnownAgent::of_link(dir.path(), link('a', "22222222")).value();
  EXPECT_FALSE(anew.paired);
  EXPECT_NE(anew.own.public_key(), made.own.public_key());
  EXPECT_EQ(found(), made.own.public_key());
  // One that has not is replaced by the next.
  const std::string file = anew.file;
  anew = KnownAgent::of_link(dir.path(), link('a', "33333333")).value();
  EXPECT_EQ(anew.file, file);
  ASSERT_TRUE(anew.come_through(dir.path()));
  EXPECT_EQ(anew.file, "home");
  EXPECT_EQ(found(), anew.own.public_key());
}

TEST(KnownAgent, ANewLinkOfAnAgentWithAnotherKeyTakesItsPlace) {
  const test::TempDir dir;
  auto first = KnownAgent::of_link(dir.path(), link('a', "11111111")).value();
  ASSERT_TRUE(first.come_through(dir.path()));
  Link rotated = link('b', "22222222");
  rotated.agent.tunnel = first.agent.tunnel;
  auto anew = KnownAgent::of_link(dir.path(), rotated).value();
  for (const char* name : {"home", "tunnel-a"}) {
    EXPECT_EQ(KnownAgent::find(dir.path(), name)->agent.key, first.agent.key) << name;
  }
  ASSERT_TRUE(anew.come_through(dir.path()));
  for (const char* name : {"home", "tunnel-a"}) {
    EXPECT_EQ(KnownAgent::find(dir.path(), name)->agent.key, anew.agent.key) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(dir / "home-2.agent"));
  // At another relay the same id is another agent.
  Link elsewhere = rotated;
  elsewhere.agent.key.bytes.fill('c');
  elsewhere.agent.relays = {"wss://other.test:443"};
  auto other = KnownAgent::of_link(dir.path(), elsewhere).value();
  ASSERT_TRUE(other.come_through(dir.path()));
  EXPECT_EQ(KnownAgent::find(dir.path(), "home")->agent.key, anew.agent.key);
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
