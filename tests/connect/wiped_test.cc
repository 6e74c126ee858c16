// Nothing of a device's secrets stays behind in memory that was given back.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/crypto_util.h"
#include "connect/known_agent.h"
#include "connect/link.h"
#include "support/freed_memory.h"
#include "support/temp_dir.h"

namespace leat::connect {
namespace {

// Not in memory that is looked at.
std::array<std::uint8_t, 32> needle;

Link link() {
  Link out;
  out.agent.tunnel = out.agent.name = "home";
  out.pairing = "12345678";
  out.secret = Secret("sixteen bytes ok");
  return out;
}

class Wiped : public ::testing::Test {
 protected:
  ~Wiped() override { test::look_for({}); }
};

TEST_F(Wiped, ItsKeyWhereItIsLoadedAndSaved) {
  const test::TempDir dir;
  const KnownAgent made = KnownAgent::of_link(dir.path(), link()).value();
  std::ranges::copy(made.own.secret().reveal(), needle.begin());
  test::look_for(as_chars(needle));
  ASSERT_TRUE(made.save(dir.path()));
  EXPECT_EQ(test::freed_with_it(), 0u);
  ASSERT_TRUE(KnownAgent::find(dir.path(), "home"));
  EXPECT_EQ(test::freed_with_it(), 0u);
}

TEST_F(Wiped, TheSecretOfALink) {
  test::look_for("sixteen bytes ok");
  const std::string text = format(link(), "leat://pair");
  EXPECT_EQ(test::freed_with_it(), 0u);
  ASSERT_TRUE(parse_link(text));
  EXPECT_EQ(test::freed_with_it(), 0u);
}

}  // namespace
}  // namespace leat::connect
