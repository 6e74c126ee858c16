#include "control/convert.h"

#include <gtest/gtest.h>

#include "proto/control.pb.h"

namespace leat::control {
namespace {

TEST(Convert, TunnelIds) {
  for (const std::string& good : {std::string("a"), std::string("0"), std::string("my-chat-2"),
                                  std::string("a--b"), std::string(63, 'x')}) {
    EXPECT_TRUE(valid_tunnel_id(good)) << good;
  }
  for (const std::string& bad :
       {std::string(), std::string(64, 'x'), std::string("-a"), std::string("a-"), std::string("-"),
        std::string("A"), std::string("a.b"), std::string("a/b"), std::string("a b"),
        std::string("a_b"), std::string("\xc3\xa9"), std::string("a\0b", 3)}) {
    EXPECT_FALSE(valid_tunnel_id(bad)) << bad;
  }
}

TEST(Convert, KindsThereAndBack) {
  for (const TunnelKind kind :
       {TunnelKind::http, TunnelKind::tcp, TunnelKind::ws, TunnelKind::tls, TunnelKind::sealed}) {
    EXPECT_EQ(from_wire(to_wire(kind)), kind);
  }
  EXPECT_FALSE(from_wire(proto::KIND_UNSPECIFIED));
  EXPECT_FALSE(from_wire(static_cast<proto::Kind>(6)));
}

TEST(Convert, FailuresThereAndBack) {
  const Error back = from_wire(to_wire(Error{Code::TUNNEL_TAKEN, "chat"}));
  EXPECT_EQ(back.code, Code::TUNNEL_TAKEN);
  EXPECT_EQ(back.detail, "chat");
}

TEST(Convert, AnUnknownCodeIsShownAsItIs) {
  proto::Failure failure;
  failure.set_code("LEAT_OF_THE\nFUTURE");
  failure.set_text("why\x1b[2J");
  const Error error = from_wire(failure);
  EXPECT_EQ(error.code, Code::PROTOCOL);
  EXPECT_EQ(error.detail, "LEAT_OF_THE?FUTURE: why?[2J");
}

TEST(Convert, PrintableKeepsTextAndRefusesControls) {
  EXPECT_EQ(printable("plain ~", 100), "plain ~");
  EXPECT_EQ(printable("zażółć 🦦", 100), "zażółć 🦦");
  EXPECT_EQ(printable(std::string("a\0b\n\x1b\x7f", 6), 100), "a?b???");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m",
                      100),
            "??31m");                                               // CSI in its C1 form
  EXPECT_EQ(printable("\xff\xc0\x80\xed\xa0\x80", 100), "??????");  // overlong, surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80\xe2\x82", 100), "??????");  // too high, cut short
}

TEST(Convert, PrintableCutsBetweenCharacters) {
  EXPECT_EQ(printable("aéé", 3), "aé");
  EXPECT_EQ(printable("aéé", 4), "aé");
  EXPECT_EQ(printable("aéé", 5), "aéé");
  EXPECT_EQ(printable("abc", 0), "");
}

}  // namespace
}  // namespace leat::control
