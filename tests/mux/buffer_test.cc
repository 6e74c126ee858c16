#include <gtest/gtest.h>

#include <string>

#include "mux/block_pool.h"
#include "mux/control_queue.h"
#include "mux/frame.h"
#include "mux/receive_buffer.h"

namespace leat::mux {
namespace {

std::string pattern(std::size_t n, std::size_t from = 0) {
  std::string out(n, '\0');
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<char>((from + i) * 131 >> 3);
  return out;
}

std::string take_all(ReceiveBuffer& buffer, BlockPool& pool) {
  std::string out;
  while (!buffer.empty()) {
    const Bytes front = buffer.front();
    out += as_chars(front);
    buffer.consume(front.size(), pool);
  }
  return out;
}

TEST(BlockPool, CountsWholeBlocksAgainstTheBudget) {
  BlockPool pool(20 * 1024, 0);
  Block* const large = pool.acquire(1 << 20);
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(large->size, 16384u);
  Block* const rest = pool.acquire(1 << 20);  // only a smaller one fits
  ASSERT_NE(rest, nullptr);
  EXPECT_EQ(rest->size, 4096u);
  EXPECT_EQ(pool.used(), 20u * 1024);
  EXPECT_EQ(pool.acquire(1), nullptr);
  pool.release(rest);
  Block* const small = pool.acquire(1);
  ASSERT_NE(small, nullptr);
  EXPECT_EQ(small->size, 1024u);
  pool.release(small);
  pool.release(large);
  EXPECT_EQ(pool.used(), 0u);
}

TEST(BlockPool, KeepsALittleAndGivesItUpForTheBudget) {
  BlockPool pool(16 * 1024, 4 * 1024);
  Block* blocks[4];
  for (Block*& b : blocks) b = pool.acquire(4096);
  for (Block* b : blocks) pool.release(b);
  EXPECT_EQ(pool.used(), 0u);
  EXPECT_EQ(pool.cached(), 4096u);
  Block* const large = pool.acquire(16384);  // fits only without the cached one
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(large->size, 16384u);
  EXPECT_EQ(pool.cached(), 0u);
  pool.release(large);
}

TEST(ReceiveBuffer, GivesBackWhatItGot) {
  BlockPool pool(1 << 20, 1 << 16);
  ReceiveBuffer buffer;
  std::string all;
  for (const std::size_t n : {1u, 1u, 999u, 5000u, 16384u, 40000u, 1u, 70000u}) {
    const std::string piece = pattern(n, all.size());
    EXPECT_EQ(buffer.append(as_bytes(piece), pool), n);
    all += piece;
  }
  EXPECT_EQ(buffer.size(), all.size());
  EXPECT_EQ(take_all(buffer, pool), all);
  EXPECT_EQ(buffer.memory(), 0u);
  EXPECT_EQ(pool.used(), 0u);
}

TEST(ReceiveBuffer, OneByteFramesCostOneByteEach) {  // threat 5
  BlockPool pool(1 << 20, 0);
  ReceiveBuffer buffer;
  const std::string all = pattern(100000);
  for (const char& c : all) ASSERT_EQ(buffer.append(as_bytes({&c, 1}), pool), 1u);
  EXPECT_LT(buffer.memory(), 120000u);
  EXPECT_EQ(take_all(buffer, pool), all);
}

TEST(ReceiveBuffer, StoresWhatTheBudgetAllows) {
  BlockPool pool(5 * 1024, 0);
  ReceiveBuffer buffer;
  const std::string data = pattern(10000);
  const std::size_t stored = buffer.append(as_bytes(data), pool);
  EXPECT_LT(stored, 5u * 1024);
  EXPECT_GT(stored, 4900u);
  EXPECT_EQ(buffer.append(as_bytes(data), pool), 0u);
  EXPECT_EQ(take_all(buffer, pool), data.substr(0, stored));
}

TEST(ReceiveBuffer, InterleavesAppendingAndTaking) {
  BlockPool pool(1 << 20, 1 << 16);
  ReceiveBuffer buffer;
  std::size_t in = 0, out = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string piece = pattern(static_cast<std::size_t>(i * 37 % 3000), in);
    ASSERT_EQ(buffer.append(as_bytes(piece), pool), piece.size());
    in += piece.size();
    for (int j = 0; j < 3 && !buffer.empty(); ++j) {
      const Bytes front = buffer.front().first(std::min<std::size_t>(buffer.front().size(), 777));
      ASSERT_EQ(as_chars(front), pattern(front.size(), out));
      out += front.size();
      buffer.consume(front.size(), pool);
    }
    ASSERT_EQ(buffer.size(), in - out);
  }
  buffer.clear(pool);
  EXPECT_EQ(pool.used(), 0u);
}

TEST(ReceiveBuffer, GivesSeveralBlocksAtOnce) {
  BlockPool pool(1 << 20, 1 << 16);
  ReceiveBuffer buffer;
  const std::string all = pattern(200'000, 0);
  ASSERT_EQ(buffer.append(as_bytes(all), pool), all.size());
  std::size_t out = 0;
  while (!buffer.empty()) {
    const Pieces pieces = buffer.oldest();
    std::string joined;
    for (const Bytes piece : pieces.left()) joined += as_chars(piece);
    ASSERT_LE(pieces.left().size(), Sink::kMaxPieces);
    joined.resize(std::min<std::size_t>(joined.size(), 33'333));
    ASSERT_EQ(joined, pattern(joined.size(), out));
    out += joined.size();
    buffer.consume(joined.size(), pool);
    ASSERT_EQ(buffer.size(), all.size() - out);
  }
  EXPECT_EQ(pool.used(), 0u);
}

std::vector<Header> written(ControlQueue& queue, std::size_t room = 1 << 20) {
  std::vector<std::uint8_t> out(room);
  std::vector<Header> headers;
  const std::size_t n = queue.write(out);
  for (std::size_t at = 0; at < n; at += kHeaderSize) {
    EXPECT_EQ(decode(out.data() + at, headers.emplace_back()), Fatal::none);
  }
  return headers;
}

TEST(ControlQueue, PongsJumpTheQueue) {  // §1.2
  ControlQueue queue(limits::kControlQueue);
  ASSERT_TRUE(queue.refuse(5));
  queue.go_away(0);
  queue.ping(9);
  ASSERT_TRUE(queue.pong(1));
  ASSERT_TRUE(queue.pong(2));
  EXPECT_EQ(queue.bytes(), 5 * kHeaderSize);
  EXPECT_EQ(written(queue), (std::vector<Header>{{Type::ping, flag::ack, 0, 1},
                                                 {Type::ping, flag::ack, 0, 2},
                                                 {Type::ping, flag::syn, 0, 9},
                                                 {Type::go_away, 0, 0, 0},
                                                 {Type::window_update, flag::rst, 5, 0}}));
  EXPECT_TRUE(queue.empty());
}

TEST(ControlQueue, HoldsNoMoreThanItsBoundWhateverIsAsked) {  // threat 3
  ControlQueue queue(limits::kControlQueue);
  for (std::uint32_t i = 0; i < 100000; ++i) {
    queue.pong(i);
    static_cast<void>(queue.refuse(i + 1));
    queue.ping(i);
    queue.go_away(1);
    ASSERT_LE(queue.bytes(), limits::kControlQueue);
  }
  EXPECT_FALSE(queue.pong(0));
  EXPECT_FALSE(queue.refuse(1));
  EXPECT_EQ(written(queue).size(), limits::kControlQueue / kHeaderSize);
  EXPECT_TRUE(queue.pong(0));
  EXPECT_TRUE(queue.refuse(1));
}

TEST(ControlQueue, WritesWholeFramesInOrderHoweverSmallTheRoom) {
  ControlQueue queue(limits::kControlQueue);
  for (std::uint32_t round = 0; round < 3; ++round) {
    for (std::uint32_t i = 0; i < 5000; ++i) ASSERT_TRUE(queue.refuse(round * 10000 + i + 1)) << i;
    std::uint32_t expected = round * 10000 + 1;
    EXPECT_TRUE(written(queue, kHeaderSize - 1).empty());
    while (!queue.empty()) {
      for (const Header& h : written(queue, 30)) ASSERT_EQ(h.id, expected++);
    }
    EXPECT_EQ(expected, round * 10000 + 5001);
  }
}

// Filled up again and again behind ids that have left, the queue keeps its size.
TEST(ControlQueue, MovesUpRatherThanGrow) {
  ControlQueue queue(100 * kHeaderSize);
  std::uint32_t in = 1, out = 1;
  for (int i = 0; i < 10000; ++i) {
    while (queue.refuse(in)) ++in;
    for (const Header& h : written(queue, 7 * kHeaderSize)) ASSERT_EQ(h.id, out++);
  }
}

}  // namespace
}  // namespace leat::mux
