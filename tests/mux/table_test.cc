// The stream table, the history of ids, and the lists that run through streams.

#include <gtest/gtest.h>

#include <deque>

#include "mux/holders.h"
#include "mux/id_history.h"
#include "mux/stream_table.h"

namespace leat::mux {
namespace {

constexpr auto kOpen = StreamState::open;
constexpr auto kWindow = limits::kInitialWindow;

Stream& insert(StreamTable& table, std::uint32_t id) {
  EXPECT_TRUE(table.reserve());
  return table.insert(id, kOpen, kWindow, Time{});
}

TEST(StreamTable, FindsByIdAndByHandle) {
  StreamTable table;
  Stream& stream = insert(table, 7);
  EXPECT_EQ(table.find(7), &stream);
  EXPECT_EQ(table.find(9), nullptr);
  EXPECT_EQ(table.get(stream.handle), &stream);
  EXPECT_EQ(table.get({}), nullptr);
  EXPECT_EQ(table.get({.slot = 5, .generation = 0}), nullptr);
  table.remove(stream);
  EXPECT_EQ(table.live(), 0u);
}

TEST(StreamTable, AnEndComesInSteps) {
  StreamTable table;
  Stream& stream = insert(table, 7);
  const StreamHandle handle = stream.handle;
  table.forget_id(stream);
  EXPECT_EQ(table.find(7), nullptr);
  EXPECT_EQ(table.get(handle), &stream);
  table.retire(stream);
  EXPECT_EQ(table.get(handle), nullptr);
  EXPECT_EQ(table.live(), 1u);
  table.retire(stream);
  table.remove(stream);
  EXPECT_EQ(table.live(), 0u);
  Stream& next = insert(table, 9);
  EXPECT_EQ(next.handle.slot, handle.slot);
  EXPECT_EQ(next.handle.generation, handle.generation + 1);
  table.remove(next);
}

TEST(StreamTable, StreamsDoNotMove) {
  StreamTable table;
  std::vector<Stream*> streams;
  for (std::uint32_t id = 1; id < 2000; id += 2) {
    streams.push_back(&insert(table, id));
  }
  for (std::size_t i = 0; i < streams.size(); ++i) {
    EXPECT_EQ(streams[i]->id, 2 * i + 1);
    EXPECT_EQ(table.get(streams[i]->handle), streams[i]);
  }
  int seen = 0;
  table.for_each([&](Stream& stream) {
    ++seen;
    table.remove(stream);
  });
  EXPECT_EQ(seen, 1000);
  EXPECT_EQ(table.live(), 0u);
}

TEST(StreamTable, TakesNoMoreMemoryThanThereIs) {
  MemoryBudget budget(100'000);
  MemoryShare share(budget);
  {
    StreamTable table(&share);
    std::uint32_t id = 1;
    while (table.reserve()) insert(table, id += 2);
    EXPECT_LE(table.live() * sizeof(Stream), 100'000u);
    EXPECT_GE(table.live() * (sizeof(Stream) + 64), 90'000u);
    table.for_each([&](Stream& stream) { table.remove(stream); });
    EXPECT_TRUE(table.reserve());  // slots are used again
  }
  EXPECT_TRUE(share.take(100'000));
  share.give_back(100'000);
}

TEST(IdHistory, TellsAnIdThatWasUsed) {
  IdHistory history;
  EXPECT_TRUE(history.use(1));
  EXPECT_FALSE(history.use(1));
  EXPECT_TRUE(history.use(9));
  EXPECT_TRUE(history.use(5));  // out of order
  EXPECT_TRUE(history.use(3));
  EXPECT_FALSE(history.use(5));
  EXPECT_FALSE(history.use(9));
}

TEST(IdHistory, CountsWhatIsTooOldAsUsed) {
  IdHistory history;
  const std::uint32_t high = 100001;
  EXPECT_TRUE(history.use(high));
  EXPECT_FALSE(history.use(high - 2 * IdHistory::kRemembered));
  EXPECT_TRUE(history.use(high - 2 * IdHistory::kRemembered + 2));
  EXPECT_FALSE(history.use(1));
  EXPECT_TRUE(history.use(0xffffffff));  // a jump forgets everything before
  EXPECT_FALSE(history.use(high));
  EXPECT_TRUE(history.use(0xfffffffd));
}

TEST(IdHistory, AgreesWithASetOverManySteps) {
  IdHistory history;
  std::deque<bool> used(1 << 16, false);
  std::uint32_t x = 1, highest = 0;
  bool any = false;
  for (int i = 0; i < 50000; ++i) {
    x = x * 1664525 + 1013904223;
    const std::uint32_t base = any ? highest : 5000;
    const std::uint32_t n = base + (x >> 16) % 40 - 38;
    const bool fresh = !used[n];
    ASSERT_EQ(history.use(2 * n + 1), fresh) << n;
    used[n] = true;
    highest = any ? std::max(highest, n) : n;
    any = true;
  }
}

TEST(Holders, NamesTheLargest) {
  BlockPool pool(1 << 20, 0);
  StreamTable table;
  Holders holders;
  EXPECT_EQ(holders.largest(), nullptr);
  std::vector<Stream*> streams;
  const std::string bytes(60000, 'x');
  for (std::uint32_t i = 0; i < 5; ++i) {
    Stream& stream = insert(table, 2 * i + 1);
    static_cast<void>(stream.buffer.append(as_bytes(bytes).first(10000 * (i + 1)), pool));
    holders.update(stream);
    streams.push_back(&stream);
  }
  EXPECT_EQ(holders.largest(), streams[4]);
  using namespace std::chrono_literals;
  for (std::size_t i = 2; i < 5; ++i) streams[i]->taken = Time{} + 10s;
  EXPECT_EQ(holders.largest_stalled(Time{} + 1s), streams[1]);
  EXPECT_EQ(holders.largest_stalled(Time{} - 1s), nullptr);
  for (std::size_t i = 5; i-- > 0;) {
    EXPECT_EQ(holders.largest(), streams[i]);
    streams[i]->buffer.clear(pool);
    holders.update(*streams[i]);
    table.remove(*streams[i]);
  }
  EXPECT_EQ(holders.largest(), nullptr);
}

}  // namespace
}  // namespace leat::mux
