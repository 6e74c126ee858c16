#include "base/names.h"

#include <gtest/gtest.h>

#include <string>

namespace leat {
namespace {

TEST(HostName, HasTwoLabelsOfLettersDigitsAndHyphens) {
  const std::string label(63, 'x');
  for (const std::string& good :
       {std::string("a.b"), std::string("shop.example.com"), std::string("xn--bcher-kva.example"),
        std::string("1.2.3.example"), label + "." + label + "." + label + "." + label.substr(2)}) {
    EXPECT_TRUE(valid_host_name(good)) << good;
    EXPECT_FALSE(valid_tunnel_id(good)) << "one namespace, and no name is both: " << good;
  }
  for (const std::string& bad :
       {std::string(), std::string("a"), std::string("a."), std::string(".a"), std::string("a..b"),
        std::string("A.b"), std::string("a_b.c"), std::string("-a.b"), std::string("a-.b"),
        std::string("*.b"), std::string("a.b:1"), std::string("10.0.0.1"), std::string("a.1"),
        label + "x.a", label + "." + label + "." + label + "." + label}) {
    EXPECT_FALSE(valid_host_name(bad)) << bad;
  }
}

}  // namespace
}  // namespace leat
