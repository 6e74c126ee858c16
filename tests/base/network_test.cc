#include "base/network.h"

#include <gtest/gtest.h>

namespace leat {
namespace {

TEST(Network, Customers) {
  EXPECT_EQ(customer_of("2001:db8::1"), customer_of("2001:db8:0:0:ffff::2"));
  EXPECT_NE(customer_of("2001:db8::1"), customer_of("2001:db8:0:1::1"));
  EXPECT_NE(customer_of("192.0.2.1"), customer_of("192.0.2.2"));
  EXPECT_EQ(customer_of("192.0.2.1"), customer_of("::ffff:192.0.2.1"));
  EXPECT_EQ(customer_of("local"), "local");
}

}  // namespace
}  // namespace leat
