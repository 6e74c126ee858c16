#include "base/cidr.h"

#include <gtest/gtest.h>

#include <string>

namespace leat {
namespace {

TEST(Cidr, HoldsWhatItsPrefixSays) {
  const struct {
    const char *network, *inside, *outside;
  } kCases[] = {
      {"10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
      {"192.0.2.128/25", "192.0.2.255", "192.0.2.127"},
      {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
      {"0.0.0.0/0", "255.255.255.255", "::1"},
      {"::/0", "192.0.2.1", "no address"},
      {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
      {"::1", "::1", "::2"},
      {"::ffff:192.0.2.0/120", "192.0.2.7", "192.0.3.7"},
      {"192.0.2.0/24", "::ffff:192.0.2.7", "::192.0.2.7"},
  };
  for (const auto& each : kCases) {
    const auto cidr = Cidr::parse(each.network);
    ASSERT_TRUE(cidr) << each.network << ": " << cidr.error().detail;
    EXPECT_TRUE(cidr->contains(each.inside)) << each.network;
    EXPECT_FALSE(cidr->contains(each.outside)) << each.network;
    EXPECT_TRUE(contains({*cidr}, each.inside));
    EXPECT_FALSE(contains({}, each.inside));
  }
}

TEST(Cidr, RefusesTheRest) {
  for (const char* bad :
       {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8 ", "10/8", "10.0.0.1/8",
        "2001:db8::1/32", "::/129", "localhost", "[::1]", "10.0.0.0/8/8", "10.0.0.0:80"}) {
    EXPECT_FALSE(Cidr::parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace leat
