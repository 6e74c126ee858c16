// docs/protocol.md §8.4.
#include "connect/link.h"

#include <gtest/gtest.h>

namespace leat::connect {
namespace {

Link link() {
  Link out;
  out.agent.key.bytes.fill(7);
  out.agent.tunnel = "den";
  out.agent.relays = {"wss://relay.test:443"};
  out.agent.direct = {"192.0.2.7:4443"};
  out.agent.name = "home";
  out.agent.pin = std::string(32, 'p');
  out.pairing = "12345678";
  out.secret = Secret("sixteen bytes ok");
  out.ends = 1'000'000'000;
  return out;
}

TEST(Link, ThereAndBack) {
  const std::string text = format(link(), "https://page.test/app?x=1");
  EXPECT_TRUE(text.starts_with("https://page.test/app?x=1#leat1="));
  EXPECT_TRUE(is_link(text));
  const Link read = parse_link(text).value();
  EXPECT_EQ(read.agent.key, link().agent.key);
  EXPECT_EQ(read.agent.tunnel, "den");
  EXPECT_EQ(read.agent.relays, link().agent.relays);
  EXPECT_EQ(read.agent.direct, link().agent.direct);
  EXPECT_EQ(read.agent.name, "home");
  EXPECT_EQ(read.agent.pin, link().agent.pin);
  EXPECT_EQ(read.pairing, "12345678");
  EXPECT_EQ(read.secret, link().secret);
  EXPECT_EQ(read.ends, 1'000'000'000);
}

TEST(Link, WhatIsNoneIsRefused) {
  const std::string text = format(link(), "");
  for (const std::string& bad : {std::string(), std::string("home"), std::string("#leat2=AAAA"),
                                 std::string("#leat1="), std::string("leat1=") + text.substr(7),
                                 text.substr(0, text.size() - 5), text + "=", text + "\n"}) {
    const auto read = parse_link(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().code, Code::BAD_LINK);
  }
}

TEST(Link, SizesAreExact) {
  for (const auto spoil :
       {+[](Link& l) { l.pairing += 'x'; }, +[](Link& l) { l.pairing.pop_back(); },
        +[](Link& l) { l.secret = Secret("short"); }, +[](Link& l) { l.agent.pin = "short"; }}) {
    Link bad = link();
    spoil(bad);
    EXPECT_FALSE(parse_link(format(bad, "")));
  }
  Link without = link();
  without.agent.pin.clear();
  EXPECT_TRUE(parse_link(format(without, "")));
}

}  // namespace
}  // namespace leat::connect
