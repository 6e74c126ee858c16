// The handshake's units: bounds, directions, pieces (docs/protocol.md §7.1).
#include "crypto/unit.h"

#include <gtest/gtest.h>

#include "crypto/fixed.h"

namespace leat::crypto {
namespace {

using test::Buffer;
using State = Unit::State;

Buffer unit(int kind, std::size_t body) {
  Buffer out(kUnitHeader + body, 'b');
  store_be16(out.data(), static_cast<std::uint16_t>(body + 1));
  out[2] = static_cast<std::uint8_t>(kind);
  return out;
}

TEST(Unit, BoundsOfEachKind) {
  const struct {
    int kind;
    std::size_t least, most;
    Role from;
  } kinds[] = {{1, 96, 1120, Role::initiator},
               {2, 96, 1120, Role::initiator},
               {3, 48, 1072, Role::responder},
               {4, 5, 47, Role::responder}};
  for (const auto& each : kinds) {
    SCOPED_TRACE(each.kind);
    const Role other = each.from == Role::initiator ? Role::responder : Role::initiator;
    for (const std::size_t size : {each.least, each.most}) {
      Buffer in = unit(each.kind, size);
      const std::size_t whole = in.size();
      in.push_back('r');  // the first record's
      const Unit read = read_unit(in, each.from);
      EXPECT_EQ(read.state, State::whole);
      EXPECT_EQ(static_cast<int>(read.kind), each.kind);
      EXPECT_EQ(read.size, whole);
      EXPECT_EQ(read.body.data(), in.data() + kUnitHeader);
      EXPECT_EQ(read.body.size(), size);
      EXPECT_EQ(read_unit(in, other).state, State::bad) << "reflected";
      for (std::size_t n = 0; n < whole; ++n) {
        EXPECT_EQ(read_unit(std::span(in).first(n), each.from).state, State::more) << n;
      }
    }
    for (const std::size_t size : {each.least - 1, each.most + 1}) {
      const Buffer in = unit(each.kind, size);
      EXPECT_EQ(read_unit(std::span(in).first(kUnitHeader), each.from).state, State::bad) << size;
    }
  }
  for (const int kind : {0, 5, 255}) {
    EXPECT_EQ(read_unit(unit(kind, 100), Role::initiator).state, State::bad);
    EXPECT_EQ(read_unit(unit(kind, 100), Role::responder).state, State::bad);
  }
  const Buffer nothing = {0, 0, 1};
  EXPECT_EQ(read_unit(nothing, Role::initiator).state, State::bad);
}

TEST(Unit, WrittenAndRead) {
  const test::Parties parties;
  for (const Pattern pattern : test::kPatterns) {
    auto client = parties.initiator(pattern);
    Buffer out(kMaxUnit);
    const std::size_t message =
        client.write(Buffer(kMaxPayload), std::span(out).subspan(kUnitHeader)).value();
    EXPECT_EQ(write_unit_header(out, hello_kind(pattern), message), kMaxUnit);
    const Unit unit = read_unit(out, Role::initiator);
    ASSERT_EQ(unit.state, State::whole);
    EXPECT_EQ(unit.pattern(), pattern);
    auto agent = parties.responder(unit.pattern());
    EXPECT_TRUE(test::read(agent, unit.body));
  }
}

TEST(Unit, Refused) {
  const std::string out = refused_unit("LEAT_REVOKED");
  const Unit unit = read_unit(as_bytes(out), Role::responder);
  ASSERT_EQ(unit.state, State::whole);
  EXPECT_EQ(unit.kind, UnitKind::refused);
  EXPECT_EQ(as_chars(unit.body), "LEAT_REVOKED");
}

}  // namespace
}  // namespace leat::crypto
