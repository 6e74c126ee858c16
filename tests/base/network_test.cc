#include "base/network.h"

#include <gtest/gtest.h>

namespace leat {
namespace {

TEST(Network, Contains) {
  const struct {
    const char *network, *inside, *outside;
  } kCases[] = {
      {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
      {"192.0.2.0/24", "::ffff:192.0.2.7", "::192.0.2.7"},
      {"192.0.2.7", "192.0.2.7", "192.0.2.6"},
      {"10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
      {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
      {"0.0.0.0/0", "203.0.113.9", "2001:db8::1"},
      {"::/0", "2001:db8::1", "localhost"},
      {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
      {"fe80::/10", "fe80::1%eth0", "fec0::1"},
      {"::1", "::1", "::"},
  };
  for (const auto& each : kCases) {
    const auto network = Network::parse(each.network);
    ASSERT_TRUE(network) << each.network;
    EXPECT_TRUE(network->contains(each.inside)) << each.network << " " << each.inside;
    EXPECT_FALSE(network->contains(each.outside)) << each.network << " " << each.outside;
    for (const char* nothing : {"", "local", "192.0.2.7:80", "[::1]"}) {
      EXPECT_FALSE(network->contains(nothing)) << nothing;
    }
  }
}

TEST(Network, WhatIsNoNetworkIsRefused) {
  for (const char* text :
       {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.1/8", "10.0.0.0/8/8", "::/129",
        "2001:db8::1/32", "fe80::%eth0/10", "10.0/8", "10.0.0.0/ 8", "example.com", "*"}) {
    EXPECT_FALSE(Network::parse(text)) << text;
  }
}

TEST(Network, Customers) {
  EXPECT_EQ(customer_of("2001:db8::1"), customer_of("2001:db8:0:0:ffff::2"));
  EXPECT_NE(customer_of("2001:db8::1"), customer_of("2001:db8:0:1::1"));
  EXPECT_NE(customer_of("192.0.2.1"), customer_of("192.0.2.2"));
  EXPECT_EQ(customer_of("192.0.2.1"), customer_of("::ffff:192.0.2.1"));
  EXPECT_EQ(customer_of("local"), "local");
}

}  // namespace
}  // namespace leat
