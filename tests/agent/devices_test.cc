#include "agent/devices.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "support/temp_dir.h"

namespace leat::agent {
namespace {

constexpr std::int64_t kNow = 1'000'000'000;

crypto::X25519Key key(int n) {
  crypto::X25519Key out;
  out.bytes[0] = static_cast<std::uint8_t>(n);
  out.bytes[1] = static_cast<std::uint8_t>(n >> 8);
  return out;
}

Pairing pairing(char id, std::int64_t ends = kNow + 600) {
  Pairing out;
  out.id = std::string(Pairing::kIdSize, id);
  out.code = {.hash = {7}, .ends = ends};
  return out;
}

TEST(Scope, ServicesByNameAndWithoutPathsOnlyByName) {
  const Scope all, one{{"den"}, {}}, paths{{}, {"/v1"}}, both{{"raw"}, {"/v1"}};
  EXPECT_TRUE(all.allows_service("den", true) && all.allows_service("raw", false));
  EXPECT_TRUE(one.allows_service("den", true));
  EXPECT_FALSE(one.allows_service("raw", false));
  EXPECT_TRUE(paths.allows_service("den", true));
  EXPECT_FALSE(paths.allows_service("raw", false));
  EXPECT_TRUE(both.allows_service("raw", false));
  EXPECT_FALSE(both.allows_service("den", true));
}

TEST(Scope, PathsAreOfWholeSegments) {
  const Scope scope{{}, {"/v1", "/files/"}};
  for (const char* in : {"/v1", "/v1/", "/v1/x", "/v1?q=/etc", "/files/", "/files/a"}) {
    EXPECT_TRUE(scope.allows_target(in)) << in;
  }
  for (const char* out :
       {"/", "/v10", "/v", "/files", "/V1", "//v1", "/x?/v1", "*", "/v1/..%2Fx", "/v1/a%5Cb", ""}) {
    EXPECT_FALSE(scope.allows_target(out)) << out;
  }
  EXPECT_TRUE(Scope{}.allows_target("*"));
}

TEST(Devices, APairingEnrolsOnceWithinItsTimeAndTries) {
  Devices all;
  all.pairings = {pairing('a'), pairing('b', kNow), pairing('c')};
  all.pairings[0].scope = {{"den"}, {"/v1"}};
  EXPECT_EQ(all.enrol(std::string(8, 'a'), "phone", key(1), kNow), "phone");
  EXPECT_EQ(all.devices[0].scope.services, std::vector<std::string>{"den"});
  EXPECT_EQ(all.devices[0].paired, kNow);
  EXPECT_EQ(all.enrol(std::string(8, 'a'), "thief", key(2), kNow).error().code, Code::PAIRING_USED);
  EXPECT_EQ(all.enrol(std::string(8, 'b'), "late", key(2), kNow).error().code, Code::PAIRING_OVER);
  EXPECT_EQ(all.enrol(std::string(8, 'x'), "none", key(2), kNow).error().code, Code::PAIRING_OVER);
  all.pairings[2].code.tries = OneTimeCode::kTries;
  EXPECT_EQ(all.enrol(std::string(8, 'c'), "guess", key(2), kNow).error().code, Code::PAIRING_OVER);
  EXPECT_EQ(all.devices.size(), 1u);
}

TEST(Devices, NamesAreToldApartAndHarmless) {
  Devices all;
  for (const char id : {'a', 'b', 'c', 'd', 'e'}) all.pairings.push_back(pairing(id));
  all.pairings[3].name = "chosen";
  EXPECT_EQ(all.enrol(std::string(8, 'a'), "my phone", key(1), kNow), "my-phone");
  EXPECT_EQ(all.enrol(std::string(8, 'b'), "my phone", key(2), kNow), "my-phone-2");
  EXPECT_EQ(all.enrol(std::string(8, 'c'), "\x1b[2J\xff", key(3), kNow), "[2J");
  EXPECT_EQ(all.enrol(std::string(8, 'd'), "says", key(4), kNow), "chosen");
  // The same device by a new link is still one.
  EXPECT_EQ(all.enrol(std::string(8, 'e'), "my phone", key(1), kNow), "my-phone");
  EXPECT_EQ(all.devices.size(), 4u);
}

TEST(DeviceFile, KeepsAllOfItAndForOthersEyesNothing) {
  const test::TempDir dir;
  const DeviceFile file(dir.path());
  EXPECT_TRUE(file.read()->devices.empty());
  ASSERT_TRUE(file.update([](Devices& all) -> Result<void> {
    all.devices.push_back({"phone", key(7), {{"den"}, {"/v1"}}, kNow, kNow + 1});
    all.pairings.push_back(pairing('a', unix_now() + 600));
    all.pairings.back().code.tries = 3;
    all.pairings.push_back(pairing('o', 1));  // long over
    return {};
  }));
  const Devices read = file.read().value();
  ASSERT_EQ(read.devices.size(), 1u);
  EXPECT_EQ(read.devices[0].key, key(7));
  EXPECT_EQ(read.devices[0].scope.paths, std::vector<std::string>{"/v1"});
  EXPECT_EQ(read.devices[0].revoked, kNow + 1);
  ASSERT_EQ(read.pairings.size(), 1u);
  EXPECT_EQ(read.pairings[0].code.tries, 3);
  EXPECT_EQ(read.pairings[0].code.hash, Sha256{7});
  for (const char* name : {"devices.json", "devices.lock"}) {
    struct stat about {};
    ASSERT_EQ(::stat((dir / name).c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600u) << name;
  }
  ASSERT_EQ(::chmod((dir / "devices.json").c_str(), 0640), 0);
  EXPECT_EQ(file.read().error().code, Code::STATE_DIR);
}

TEST(DeviceFile, AnErrorLeavesItAndADamagedOneIsOne) {
  const test::TempDir dir;
  DeviceFile file(dir.path());
  EXPECT_TRUE(file.changed());
  EXPECT_FALSE(file.changed());
  EXPECT_FALSE(file.update([](Devices&) -> Result<void> { return fail(Code::NO_SUCH_DEVICE); }));
  EXPECT_FALSE(file.changed());
  ASSERT_TRUE(file.update([](Devices&) -> Result<void> { return {}; }));
  EXPECT_TRUE(file.changed());
  for (const char* damaged : {"", "{", "{}", R"({"devices":[{"name":"x"}],"pairings":[]})",
                              R"({"devices":[],"pairings":[{"id":"AAA"}]})"}) {
    ASSERT_TRUE(write_file(dir / "devices.json", damaged, 0600, Code::STATE_DIR));
    EXPECT_EQ(file.read().error().code, Code::STATE_DIR) << damaged;
  }
}

TEST(DeviceFile, WritersDoNotLoseEachOthersChanges) {
  const test::TempDir dir;
  constexpr int kWriters = 4, kEach = 20;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      const DeviceFile file(dir.path());
      for (int i = 0; i < kEach; ++i) {
        const auto done = file.update([&](Devices& all) -> Result<void> {
          all.devices.push_back({std::to_string(w) + "-" + std::to_string(i),
                                 key(w * kEach + i),
                                 {},
                                 kNow,
                                 std::nullopt});
          return {};
        });
        EXPECT_TRUE(done);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(DeviceFile(dir.path()).read()->devices.size(), std::size_t{kWriters * kEach});
}

}  // namespace
}  // namespace leat::agent
