// Nothing of what a live pairing is taken by stays behind in memory that was given back.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "agent/devices.h"
#include "base/crypto_util.h"
#include "support/freed_memory.h"
#include "support/temp_dir.h"

namespace leat::agent {
namespace {

// Not in memory that is looked at.
Sha256 needle;
std::array<char, 43> written;

TEST(Wiped, TheHashesOfPairingsWhereTheyAreReadAndWritten) {
  const test::TempDir dir;
  DeviceFile file(dir.path());
  random_bytes(needle);
  std::ranges::copy(base64url(needle), written.begin());
  const auto change = [&](std::string name) {
    return file.update([&](Devices& all) -> Result<void> {
      Pairing pairing;
      pairing.id = std::string(Pairing::kIdSize, static_cast<char>('a' + all.pairings.size()));
      pairing.code = {.hash = needle, .ends = unix_now() + 600};
      pairing.name = std::move(name);
      all.pairings.push_back(pairing);
      return {};
    });
  };
  for (const std::string_view wanted : {as_chars(needle), std::string_view(written.data(), 43)}) {
    test::look_for(wanted);
    ASSERT_TRUE(change("\"hash\": \"" + std::string(43, '-') + "\""));
    ASSERT_TRUE(change("phone"));
    EXPECT_EQ(test::freed_with_it(), 0u);
    const Devices all = file.read().value();
    EXPECT_EQ(test::freed_with_it(), 0u);
    for (const Pairing& pairing : all.pairings) EXPECT_EQ(pairing.code.hash, needle);
  }
  test::look_for({});
}

}  // namespace
}  // namespace leat::agent
