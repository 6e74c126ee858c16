#include "http/websocket_header.h"

#include <gtest/gtest.h>

#include <string>

#include "http/websocket.h"

namespace leat::http::ws {
namespace {

TEST(WebSocketHeader, ReadsWhatIsWritten) {
  const MaskKey key{1, 2, 3, 4};
  for (const std::uint64_t length :
       {0ull, 1ull, 125ull, 126ull, 65'535ull, 65'536ull, 1ull << 32, (1ull << 63) - 1}) {
    for (const Opcode opcode : {Opcode::continuation, Opcode::text, Opcode::close}) {
      if (opcode == Opcode::close && length > kMaxControl) continue;
      for (const MaskKey* mask : {static_cast<const MaskKey*>(nullptr), &key}) {
        std::array<std::uint8_t, kMaxHeader> bytes;
        const std::size_t size = write_header(bytes, opcode, true, length, mask);
        const auto header = read_frame_header(Bytes(bytes).first(size));
        ASSERT_TRUE(header);
        EXPECT_EQ(header->size, size);
        EXPECT_EQ(header->length, length);
        EXPECT_EQ(header->opcode, static_cast<std::uint8_t>(opcode));
        for (std::size_t n = 0; n < size; ++n) {
          EXPECT_FALSE(read_frame_header(Bytes(bytes).first(n))) << n << " of " << size;
        }
      }
    }
  }
}

TEST(WebSocketHeader, SaysWhatBeginsAMessage) {
  for (int opcode = 0; opcode < 16; ++opcode) {
    const std::uint8_t bytes[] = {static_cast<std::uint8_t>(0xf0 | opcode), 0};  // any flags
    const auto header = read_frame_header(bytes);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->control(), opcode >= 8);
    EXPECT_EQ(header->begins_message(), opcode > 0 && opcode < 8);
  }
}

}  // namespace
}  // namespace leat::http::ws
