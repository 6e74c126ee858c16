#include "mux/frame.h"

#include <gtest/gtest.h>

#include <array>

namespace leat::mux {
namespace {

using Raw = std::array<std::uint8_t, kHeaderSize>;

TEST(Frame, StandsOnTheWireAsTheSpecificationSays) {  // §1.1
  Raw raw;
  encode({Type::window_update, flag::fin, 0x01020304, 0xa0b0c0d0}, raw.data());
  EXPECT_EQ(raw, (Raw{0, 1, 0, 4, 1, 2, 3, 4, 0xa0, 0xb0, 0xc0, 0xd0}));
}

TEST(Frame, ReadsBackWhatItWrote) {
  for (const Header& header :
       {Header{Type::data, flag::syn | flag::fin, 1, 0xffffffff},
        Header{Type::window_update, flag::ack, 0xffffffff, 0}, Header{Type::ping, flag::syn, 0, 7},
        Header{Type::go_away, 0, 0, 2}}) {
    Raw raw;
    encode(header, raw.data());
    Header read;
    ASSERT_EQ(decode(raw.data(), read), Fatal::none);
    EXPECT_EQ(read, header);
  }
}

// Every version, every type, every combination of flag bits, stream id zero or not.
TEST(Frame, RefusesEveryMalformedHeader) {
  for (int version = 0; version < 256; ++version) {
    for (int type = 0; type < 256; ++type) {
      for (int flags = 0; flags < 32; ++flags) {
        for (const std::uint8_t id : {std::uint8_t{0}, std::uint8_t{9}}) {
          Raw raw{};
          raw[0] = static_cast<std::uint8_t>(version);
          raw[1] = static_cast<std::uint8_t>(type);
          raw[3] = static_cast<std::uint8_t>(flags);
          raw[7] = id;
          Fatal expected = Fatal::none;
          if (version != 0) {
            expected = Fatal::bad_version;
          } else if (type > 3) {
            expected = Fatal::bad_type;
          } else if (flags > 15 || (flags & 3) == 3 || (type == 2 && flags != 1 && flags != 2) ||
                     (type == 3 && flags != 0)) {
            expected = Fatal::bad_flags;
          } else if ((type < 2) != (id != 0)) {
            expected = Fatal::bad_stream_id;
          }
          Header header;
          ASSERT_EQ(decode(raw.data(), header), expected)
              << version << " " << type << " " << flags << " " << int{id};
        }
      }
    }
  }
}

TEST(Frame, RefusesFlagsInTheHighByte) {
  for (int bit = 4; bit < 16; ++bit) {
    Raw raw{
        0, 0, static_cast<std::uint8_t>((1 << bit) >> 8), static_cast<std::uint8_t>(1 << bit), 0, 0,
        0, 1};
    Header header;
    EXPECT_EQ(decode(raw.data(), header), Fatal::bad_flags) << bit;
  }
}

}  // namespace
}  // namespace leat::mux
