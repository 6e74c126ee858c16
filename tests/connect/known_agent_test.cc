#include "connect/known_agent.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "support/temp_dir.h"

namespace leat::connect {
namespace {

constexpr std::string_view kWay = "relay relay.test:443";

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
  const Error unknown = KnownAgent::find(dir.path(), "other").error();
  EXPECT_EQ(unknown.code, Code::USAGE);
  EXPECT_TRUE(unknown.detail.starts_with("this machine is not paired with an agent called other,"))
      << unknown.detail;
  struct stat about {};
  ASSERT_EQ(::stat((dir / "home.agent").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
}

TEST(KnownAgent, TheSameLinkIsTheSameDeviceAndANewOneANewKey) {
  const test::TempDir dir;
  auto made = KnownAgent::of_link(dir.path(), link('a', "11111111")).value();
  ASSERT_TRUE(made.come_through(dir.path(), kWay));
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
  ASSERT_TRUE(anew.come_through(dir.path(), kWay));
  EXPECT_EQ(anew.file, "home");
  EXPECT_EQ(found(), anew.own.public_key());
}

TEST(KnownAgent, ANewLinkOfAnAgentWithAnotherKeyTakesItsPlace) {
  const test::TempDir dir;
  auto first = KnownAgent::of_link(dir.path(), link('a', "11111111")).value();
  ASSERT_TRUE(first.come_through(dir.path(), kWay));
  Link rotated = link('b', "22222222");
  rotated.agent.tunnel = first.agent.tunnel;
  auto anew = KnownAgent::of_link(dir.path(), rotated).value();
  for (const char* name : {"home", "tunnel-a"}) {
    EXPECT_EQ(KnownAgent::find(dir.path(), name)->agent.key, first.agent.key) << name;
  }
  ASSERT_TRUE(anew.come_through(dir.path(), kWay));
  for (const char* name : {"home", "tunnel-a"}) {
    EXPECT_EQ(KnownAgent::find(dir.path(), name)->agent.key, anew.agent.key) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(dir / "home-2.agent"));
  // At another relay the same id is another agent.
  Link elsewhere = rotated;
  elsewhere.agent.key.bytes.fill('c');
  elsewhere.agent.relays = {"wss://other.test:443"};
  auto other = KnownAgent::of_link(dir.path(), elsewhere).value();
  ASSERT_TRUE(other.come_through(dir.path(), "relay other.test:443"));
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

TEST(KnownAgent, ALinkThatClaimsThePlaceOfAnotherAgentDoesNotTakeIt) {
  const test::TempDir dir;
  Link good = link('a', "11111111");
  good.agent.direct = {"192.0.2.7:4443"};
  auto first = KnownAgent::of_link(dir.path(), good).value();
  ASSERT_TRUE(first.come_through(dir.path(), kWay));
  Link claims = link('b', "22222222", "elsewhere");
  claims.agent.tunnel = good.agent.tunnel;
  claims.agent.relays = {"wss://other.test:443", good.agent.relays[0]};
  claims.agent.direct = {"192.0.2.7:4443", "198.51.100.1:4443"};
  // It answered elsewhere, so it was not shown to be where the first one is.
  for (const char* way : {"direct 198.51.100.1:4443", "relay other.test:443", "relay test:443"}) {
    claims.pairing += "2";
    auto made = KnownAgent::of_link(dir.path(), claims).value();
    ASSERT_TRUE(made.come_through(dir.path(), way));
    EXPECT_EQ(made.file, "elsewhere");
    EXPECT_EQ(KnownAgent::find(dir.path(), "home")->agent.key, first.agent.key) << way;
  }
  auto moved = KnownAgent::of_link(dir.path(), link('c', "44444444")).value();
  moved.agent.tunnel = good.agent.tunnel;
  ASSERT_TRUE(moved.come_through(dir.path(), "direct 192.0.2.7:4443"));
  EXPECT_EQ(KnownAgent::find(dir.path(), "home")->agent.key, moved.agent.key);
}

TEST(KnownAgent, ANameThatSeveralHaveMeansNoneOfThem) {
  const test::TempDir dir;
  auto first = KnownAgent::of_link(dir.path(), link('b', "11111111")).value();
  ASSERT_TRUE(first.come_through(dir.path(), kWay));
  Link claims = link('c', "22222222", "aaa");  // whose file is read before
  claims.agent.tunnel = first.agent.tunnel;
  auto second = KnownAgent::of_link(dir.path(), claims).value();
  // What did not come through takes no name away.
  EXPECT_EQ(KnownAgent::find(dir.path(), "tunnel-b")->agent.key, first.agent.key);
  ASSERT_TRUE(second.come_through(dir.path(), "relay other.test:443"));
  const auto found = KnownAgent::find(dir.path(), "tunnel-b");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::USAGE);
  EXPECT_NE(found.error().detail.find("aaa, home"), std::string::npos) << found.error().detail;
  EXPECT_EQ(KnownAgent::find(dir.path(), "aaa")->agent.key, second.agent.key);
  // The file's own name is nobody else's, whatever a link says.
  const Link named = link('d', "33333333", "tunnel-b");
  EXPECT_EQ(KnownAgent::of_link(dir.path(), named)->file, "tunnel-b-2");
  Link called = link('e', "44444444", "bbb");
  called.agent.tunnel = "home";
  auto third = KnownAgent::of_link(dir.path(), called).value();
  ASSERT_TRUE(third.come_through(dir.path(), kWay));
  EXPECT_EQ(KnownAgent::find(dir.path(), "home")->agent.key, first.agent.key);
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
