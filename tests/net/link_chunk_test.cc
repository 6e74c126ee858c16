// docs/protocol.md §2.1 and §2.6.
#include "net/link_chunk.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "net/link_fixture.h"

namespace leat::net {
namespace {

TEST(LinkChunk, EveryKindAndLengthAgainstTheTable) {
  const std::map<int, std::pair<std::size_t, std::size_t>> table = {
      {1, {33, 33}}, {2, {126, 126}}, {3, {24, 24}}, {4, {1, 16381}},
      {5, {8, 8}},   {6, {8, 8}},     {7, {8, 8}},   {8, {1, 561}}};
  for (int kind = 0; kind < 256; ++kind) {
    const auto row = table.find(kind);
    for (std::size_t length = 0; length < 65536; ++length) {
      const bool expected =
          row != table.end() && length >= row->second.first && length <= row->second.second;
      const std::string header = test::be(length, 2) + static_cast<char>(kind);
      ASSERT_EQ(well_formed(load_header(as_bytes(header).data())), expected)
          << "kind " << kind << " length " << length;
    }
  }
}

TEST(LinkChunk, ALargestDataChunkFillsOneRecord) {
  EXPECT_EQ(limits::kChunkHeader + kDataMax, limits::kTlsRecord);
}

TEST(LinkChunk, CloseSaysCodeAndText) {
  const std::string chunk = close_chunk("LEAT_REVOKED", "token x");
  EXPECT_EQ(chunk, test::close("LEAT_REVOKED", "token x"));
  std::string code, text;
  ASSERT_TRUE(parse_close(as_bytes(chunk).subspan(3), code, text));
  EXPECT_EQ(code, "LEAT_REVOKED");
  EXPECT_EQ(text, "token x");
}

TEST(LinkChunk, CloseIsCutToTheFormat) {
  const std::string chunk = close_chunk(std::string(100, 'A'), std::string(1000, 'b'));
  EXPECT_TRUE(well_formed(load_header(as_bytes(chunk).data())));
  EXPECT_EQ(chunk.size(), 3u + 561u);
}

TEST(LinkChunk, CloseTextIsPrintableBothWays) {
  const std::string nasty = "a\x1b[31m\r\n\x7f\xff";
  const std::string harmless = "a?[31m????";
  EXPECT_EQ(close_chunk("", nasty), test::close("", harmless));
  std::string code, text;
  ASSERT_TRUE(parse_close(as_bytes('\0' + nasty), code, text));
  EXPECT_EQ(text, harmless);
}

TEST(LinkChunk, MalformedCloseIsRefused) {
  std::string code, text;
  EXPECT_FALSE(parse_close({}, code, text));
  EXPECT_FALSE(parse_close(as_bytes("\x05"
                                    "LEAT"),
                           code, text));  // code longer than the body
  EXPECT_FALSE(parse_close(as_bytes("\x31" + std::string(49, 'A')), code, text));
  EXPECT_FALSE(parse_close(as_bytes("\x04"
                                    "leat"),
                           code, text));
  EXPECT_FALSE(parse_close(as_bytes("\x04"
                                    "A B "),
                           code, text));
  EXPECT_FALSE(parse_close(as_bytes(std::string(1, '\0') + std::string(513, 'x')), code, text));
}

}  // namespace
}  // namespace leat::net
