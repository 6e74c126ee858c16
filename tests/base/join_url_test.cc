#include "base/join_url.h"

#include <gtest/gtest.h>

namespace leat {
namespace {

TEST(JoinUrl, IsReadAsItIsWritten) {
  const std::string pin(32, '\x7f');
  for (const HostPort& relay : {HostPort{"relay.example.com", 443}, HostPort{"192.0.2.1", 8443},
                                HostPort{"::1", 443}, HostPort{"::1", 8443}}) {
    for (const std::string& pinned : {pin, std::string()}) {
      const Secret text = JoinUrl{relay, Secret("abcd-efgh"), pinned}.text();
      const auto read = parse_join_url(text.reveal());
      ASSERT_TRUE(read) << text.reveal();
      EXPECT_EQ(read->relay, relay);
      EXPECT_EQ(read->code, Secret("abcd-efgh"));
      EXPECT_EQ(read->pin, pinned);
    }
  }
  EXPECT_EQ(JoinUrl({{"r.example", 443}, Secret("a-b"), {}}).text().reveal(),
            "https://r.example/join#a-b");
}

TEST(JoinUrl, OtherTextsAreRefusedAndNotRepeated) {
  for (const char* text :
       {"", "relay.example.com", "http://r/join#a-b", "https://r/join", "https://r/join#",
        "https://r/join#a-b.x", "https:///join#a-b", "https://r:0/join#a-b", "https://r:x/join#a-b",
        "https://r/other#secret"}) {
    const auto read = parse_join_url(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Code::USAGE);
    EXPECT_EQ(read.error().detail.find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace leat
