// docs/protocol.md §8.2.
#include "sealed/opening.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace leat::sealed {
namespace {

// In pieces of every size; the surplus must be left alone.
template <typename Reader>
typename Reader::State read(Reader& reader, std::string_view bytes, std::size_t step,
                            std::string_view surplus = "surplus") {
  const std::string whole = std::string(bytes) + std::string(surplus);
  std::size_t at = 0;
  while (at < whole.size()) {
    std::size_t used = 0;
    const auto state =
        reader.feed(as_bytes(whole).subspan(at, std::min(step, whole.size() - at)), used);
    at += used;
    if (state != Reader::State::more) {
      if (state != Reader::State::error) {
        EXPECT_EQ(whole.substr(at), surplus) << "in steps of " << step;
      }
      return state;
    }
    if (used == 0) break;
  }
  return Reader::State::more;
}

TEST(Opening, AnOpenIsReadInPiecesOfAnySize) {
  const std::string chunk = open_chunk();
  ASSERT_EQ(chunk.size(), limits::kChunkHeader + 30u);
  for (std::size_t step = 1; step <= chunk.size() + 7; ++step) {
    OpenReader reader;
    EXPECT_EQ(read(reader, chunk, step), OpenReader::State::fresh);
  }
}

TEST(Opening, ResumptionIsToldFromANewSession) {
  std::string chunk = open_chunk();
  chunk[limits::kChunkHeader + 1] = 1;
  OpenReader reader;
  EXPECT_EQ(read(reader, chunk, 100), OpenReader::State::resume);
}

TEST(Opening, WhatIsNoOpenIsRefused) {
  const auto refused = [](std::size_t at, char value, Code code) {
    std::string chunk = open_chunk();
    chunk[at] = value;
    OpenReader reader;
    EXPECT_EQ(read(reader, chunk, 100), OpenReader::State::error) << at;
    EXPECT_EQ(reader.error().code, code) << at;
  };
  refused(1, 126, Code::PROTOCOL);  // length: the open of §2.2
  refused(2, 4, Code::PROTOCOL);    // kind: data
  refused(3, 2, Code::VERSION_MISMATCH);
  refused(4, 2, Code::PROTOCOL);  // intent
  for (std::size_t at = 5; at < 33; ++at) refused(at, 1, Code::PROTOCOL);
}

TEST(Opening, TheAnswerIsReadInPiecesOfAnySize) {
  const std::string opened = opened_chunk({1, 2, 3});
  const std::string closed = close_chunk({Code::REVOKED, "phone"});
  for (std::size_t step = 1; step <= closed.size(); ++step) {
    OpenedReader reader;
    EXPECT_EQ(read(reader, opened, step), OpenedReader::State::opened);
    OpenedReader refused;
    EXPECT_EQ(read(refused, closed, step), OpenedReader::State::error);
    EXPECT_EQ(refused.error().code, Code::REVOKED);
    EXPECT_EQ(refused.error().detail, "phone");
  }
}

TEST(Opening, AnAnswerOfAnotherKindOrWithAPastIsRefused) {
  std::string opened = opened_chunk({});
  opened.back() = 1;
  OpenedReader past;
  EXPECT_EQ(read(past, opened, 100), OpenedReader::State::error);
  OpenedReader open;
  EXPECT_EQ(read(open, open_chunk(), 100), OpenedReader::State::error);
  EXPECT_EQ(open.error().code, Code::PROTOCOL);
}

}  // namespace
}  // namespace leat::sealed
