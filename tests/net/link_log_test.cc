// The replay log (docs/protocol.md §2.3): offsets, memory, reading back from anywhere.
#include "net/link_log.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

#include "net/link_fixture.h"

namespace leat::net {
namespace {

using test::pattern;

// Appends the next `n` bytes of pattern(), headers and fronts included as the link writes them.
bool append(LinkLog& log, std::size_t n) {
  const MutableBytes room = log.room();
  if (room.empty()) return false;
  n = std::min(n, room.size());
  std::fill_n(room.data() - LinkLog::kFront, LinkLog::kFront, 0xee);
  store_header(room.data() - limits::kChunkHeader, {n, ChunkKind::data});
  const std::string bytes = pattern(n, log.end());
  std::copy(bytes.begin(), bytes.end(), room.begin());
  log.commit(n);
  return true;
}

std::string read_all(const LinkLog& log, std::uint64_t from, std::size_t step = 1000) {
  LinkLog::Cursor cursor = log.seek(from);
  std::string out;
  std::vector<std::uint8_t> buffer(step);
  while (const std::size_t n = log.read(cursor, buffer)) out += as_chars(Bytes(buffer).first(n));
  return out;
}

TEST(LinkLog, AnEmptyLogHoldsNoMemory) {
  LinkLog log(limits::kLinkLog);
  EXPECT_EQ(log.memory(), 0u);
  EXPECT_FALSE(log.full());
  EXPECT_EQ(read_all(log, 0), "");
}

TEST(LinkLog, ReadsBackFromEveryOffset) {
  LinkLog log(limits::kLinkLog);
  for (const std::size_t n : {1, 300, 2, 7, 1000, 1}) append(log, n);
  for (std::uint64_t from = 0; from <= log.end(); ++from) {
    ASSERT_EQ(read_all(log, from, 1 + from % 97), pattern(log.end() - from, from)) << from;
  }
}

TEST(LinkLog, IsFullAtItsLimitAndNotBeyond) {
  LinkLog log(3 * limits::kLogSlab);
  while (append(log, 10000)) EXPECT_LE(log.memory(), 3 * limits::kLogSlab);
  EXPECT_TRUE(log.full());
  EXPECT_EQ(log.memory(), 3 * limits::kLogSlab);
  // Two thirds at least of the memory are data even at the end of slabs.
  EXPECT_GT(log.end(), 2 * limits::kLogSlab);
  EXPECT_EQ(read_all(log, 0), pattern(log.end()));

  log.release(log.end() - 1);  // one byte is still wanted: its slab stays
  EXPECT_EQ(log.memory(), limits::kLogSlab);
  EXPECT_FALSE(log.full());
  EXPECT_EQ(read_all(log, log.end() - 1), pattern(1, log.end() - 1));
}

TEST(LinkLog, LogsShareWhatThereIsAndEachGetsOn) {
  MemoryBudget budget(4 * limits::MiB);
  mux::MemoryShare share(budget);
  const std::size_t all = share.allowance();
  {
    std::vector<std::unique_ptr<LinkLog>> logs;
    std::size_t held = 0, last = limits::kLinkLog;
    while (logs.size() < 200) {
      auto& log = *logs.emplace_back(std::make_unique<LinkLog>(limits::kLinkLog, &share));
      ASSERT_FALSE(log.full());
      while (append(log, 10000)) ASSERT_FALSE(log.memory() > last) << logs.size();
      ASSERT_TRUE(log.full());
      last = log.memory();
      held += last;
      // The one slab that everybody has is all that may lie beyond the budget.
      ASSERT_LE(held, budget.total() + logs.size() * limits::kLogSlab);
    }
    EXPECT_GT(logs.front()->memory(), 4 * limits::kLogSlab);
    EXPECT_EQ(last, limits::kLogSlab);

    // What is acknowledged in one may be used by another.
    LinkLog& first = *logs.front();
    first.release(first.end());
    for (auto& log : logs) log->release(log->end());
    while (append(first, 10000)) {
    }
    EXPECT_GT(first.memory(), 2 * limits::kLogSlab);  // each keeps the slab it wrote last
  }
  EXPECT_EQ(share.allowance(), all);
}

TEST(LinkLog, ASlabGoesWithItsLastByteAndNotBefore) {
  LinkLog log(limits::kLinkLog);
  std::uint64_t boundary = 0;
  while (log.memory() < 2 * limits::kLogSlab) {
    boundary = log.end();
    append(log, 16381);
  }
  log.release(boundary - 1);
  EXPECT_EQ(log.memory(), 2 * limits::kLogSlab);
  EXPECT_EQ(read_all(log, boundary - 1), pattern(log.end() - boundary + 1, boundary - 1));
  log.release(boundary);
  EXPECT_EQ(log.memory(), limits::kLogSlab);
  EXPECT_EQ(read_all(log, boundary), pattern(log.end() - boundary, boundary));
}

TEST(LinkLog, ALimitBelowASlabIsOneSlab) {
  LinkLog log(1);
  ASSERT_TRUE(append(log, 100000));  // cut to the slab
  EXPECT_TRUE(log.full());
  EXPECT_FALSE(append(log, 1));
  log.release(log.end());
  EXPECT_FALSE(log.full());
  EXPECT_TRUE(append(log, 1));
}

TEST(LinkLog, WhatWasReleasedIsWrittenNext) {
  LinkLog log(limits::kLinkLog);
  append(log, 1000);
  const std::uint8_t* first = log.room().data();
  log.release(log.end());
  EXPECT_EQ(log.room().data() + LinkLog::kFront + 1000, first);  // same slab, from its front
  log.shrink();
  EXPECT_EQ(log.memory(), 0u);
  LinkLog other(limits::kLinkLog);
  EXPECT_EQ(other.room().data() + LinkLog::kFront + 1000,
            first);  // and across sessions of a thread
}

TEST(LinkLog, ShrinkKeepsWhatIsHeld) {
  LinkLog log(limits::kLinkLog);
  append(log, 10);
  log.release(9);
  log.shrink();
  EXPECT_EQ(log.memory(), limits::kLogSlab);
  EXPECT_EQ(read_all(log, 9), pattern(1, 9));
}

TEST(LinkLog, ACursorOutlivesTheSlabsItHasRead) {
  LinkLog log(limits::kLinkLog);
  while (log.memory() < 3 * limits::kLogSlab) append(log, 16381);
  LinkLog::Cursor cursor = log.seek(0);
  std::uint64_t at = 0;
  std::vector<std::uint8_t> buffer(777);
  while (at < log.end()) {
    const std::size_t n = log.read(cursor, buffer);
    ASSERT_EQ(as_chars(Bytes(buffer).first(n)), pattern(n, at));
    at += n;
    log.release(at);
  }
  EXPECT_EQ(log.read(cursor, buffer), 0u);
}

TEST(LinkLog, ALastSlabWithNothingInItIsNotRead) {
  LinkLog log(limits::kLinkLog);
  while (append(log, 16381) && log.memory() < 2 * limits::kLogSlab) {
  }
  log.release(log.end());
  while (log.room().size() > 16381) append(log, 16381);
  append(log, log.room().size());
  log.room();  // takes a new slab; the upper layer then has nothing for it
  ASSERT_EQ(log.memory(), 2 * limits::kLogSlab);
  EXPECT_EQ(read_all(log, log.begin()), pattern(log.end() - log.begin(), log.begin()));
}

TEST(LinkLog, RandomUseAgainstAString) {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&](std::uint64_t n) { return random() % n; };
    LinkLog log((1 + below(5)) * limits::kLogSlab);
    for (int step = 0; step < 200; ++step) {
      switch (below(4)) {
        case 0:
        case 1:
          append(log, 1 + below(below(2) ? 50 : 16381));
          break;
        case 2:
          log.release(log.begin() + below(log.end() - log.begin() + 1));
          break;
        case 3: {
          const std::uint64_t from = log.begin() + below(log.end() - log.begin() + 1);
          ASSERT_EQ(read_all(log, from, 1 + below(20000)), pattern(log.end() - from, from));
          break;
        }
      }
    }
  }
}

}  // namespace
}  // namespace leat::net
