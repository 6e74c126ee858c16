#include "base/address.h"

#include <gtest/gtest.h>

#include <vector>

namespace leat {
namespace {

TEST(Address, Accepts) {
  const struct {
    const char* text;
    HostPort want;
  } kCases[] = {
      {"127.0.0.1:8080", {"127.0.0.1", 8080}},
      {"localhost:80", {"localhost", 80}},
      {"my_nas.local.:65535", {"my_nas.local.", 65535}},
      {"[::1]:8080", {"::1", 8080}},
      {"[2001:db8::1]:1", {"2001:db8::1", 1}},
      {"[fe80::1%eth0]:22", {"fe80::1%eth0", 22}},
      {"8080", {"127.0.0.1", 8080}},
  };
  for (const auto& each : kCases) {
    const auto got = parse_host_port(each.text);
    ASSERT_TRUE(got) << each.text << ": " << got.error().detail;
    EXPECT_EQ(*got, each.want) << each.text;
  }
}

TEST(Address, Refuses) {
  for (const char* text : {"",
                           ":",
                           ":80",
                           "host",
                           "host:",
                           "host:0",
                           "host:65536",
                           "host:-1",
                           "host:+1",
                           "host:80 ",
                           " host:80",
                           "host:8o",
                           "host: 80",
                           "ho st:80",
                           "0",
                           "65536",
                           "::1:80",
                           "::1",
                           "[::1]",
                           "[::1]:",
                           "[]:80",
                           "[127.0.0.1]:80",
                           "[::1:80",
                           "::1]:80",
                           "[::1]x:80",
                           "http://host:80",
                           "user@host:80",
                           "host/path:80",
                           "host\n:80",
                           "[%eth0]:80"}) {
    const auto got = parse_host_port(text);
    ASSERT_FALSE(got) << text;
    EXPECT_EQ(got.error().code, Code::CONFIG);
    EXPECT_NE(got.error().detail.find("expected "), std::string::npos) << got.error().detail;
  }
  EXPECT_FALSE(parse_host_port(std::string(254, 'a') + ":80"));
  EXPECT_FALSE(parse_host_port(std::string_view("ho\0st:80", 8)));
}

TEST(Address, SaysWhatWasFound) {
  EXPECT_EQ(parse_host_port("::1:80").error().detail,
            "expected brackets around an IPv6 address, as in [::1]:8080, found \"::1:80\"");
}

TEST(Address, PortZeroOnlyForListening) {
  EXPECT_FALSE(parse_host_port("127.0.0.1:0"));
  EXPECT_EQ(parse_host_port("127.0.0.1:0", true).value(), (HostPort{"127.0.0.1", 0}));
  EXPECT_EQ(parse_host_port("0", true).value(), (HostPort{"127.0.0.1", 0}));
}

TEST(Address, TextIsParsedBack) {
  for (const char* text : {"127.0.0.1:8080", "[::1]:8080", "a.example:443"}) {
    EXPECT_EQ(parse_host_port(text).value().text(), text);
  }
}

}  // namespace
}  // namespace leat
