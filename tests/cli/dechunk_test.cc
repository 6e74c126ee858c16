#include "cli/dechunk.h"

#include <gtest/gtest.h>

namespace leat::cli {
namespace {

constexpr std::string_view kFramed =
    "5\r\nhello\r\n1\r\n \r\n00000A\r\n0123\r\n6789\r\n0\r\nX: y\r\n\r\n";
constexpr std::string_view kContent = "hello 0123\r\n6789";

TEST(Dechunker, AnyCuttingGivesTheSameContent) {
  for (std::size_t size = 1; size <= kFramed.size(); ++size) {
    Dechunker dechunker(http::BodyKind::chunked);
    std::string content;
    for (std::size_t at = 0; at < kFramed.size(); at += size) {
      dechunker.feed(kFramed.substr(at, size), content);
    }
    EXPECT_EQ(content, kContent) << "in pieces of " << size;
  }
}

TEST(Dechunker, OtherFramingsPass) {
  Dechunker dechunker(http::BodyKind::length);
  std::string content;
  dechunker.feed("5\r\nhello", content);
  EXPECT_EQ(content, "5\r\nhello");
}

}  // namespace
}  // namespace leat::cli
