// What owners use is written down without waiting for the disk.
#include "store/checkpointer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "store/store.h"
#include "support/slow_disk.h"
#include "support/temp_dir.h"

namespace leat::store {
namespace {

class CheckpointerTest : public testing::Test {
 protected:
  CheckpointerTest() {
    auto opened = Store::open(path_);
    EXPECT_TRUE(opened) << opened.error().text();
    store_ = std::move(*opened);
    const auto aside = store_->checkpoint_aside();
    EXPECT_TRUE(aside) << aside.error().text();
    settle(1);  // the log is new, and so its first commit waits
    test::watch_disk();
  }
  ~CheckpointerTest() override { test::stand_still(false); }

  // As many pages as owners, and some.
  void settle(int times) {
    for (int i = 0; i < times; ++i) {
      const auto done = store_->settle({{"owner", "2026-11-21", {1, 2, 3}}}, {});
      ASSERT_TRUE(done) << done.error().text();
    }
  }
  // Of the log's header: how often it has begun anew.
  std::string sequence() const {
    std::ifstream log(path_ + "-wal", std::ios::binary);
    std::string header(16, '\0');
    log.read(header.data(), 16);
    return header.substr(12);
  }
  std::uintmax_t log_size() const { return std::filesystem::file_size(path_ + "-wal"); }

  const test::TempDir dir_;
  const std::string path_ = dir_ / "leat.db";
  std::unique_ptr<Store> store_;
};

TEST_F(CheckpointerTest, ADiskThatStandsStillHoldsUpNoAccounting) {
  test::stand_still(true);
  settle(1500);
  ASSERT_TRUE(test::others_have_waited(1));  // the checkpoint waits
  settle(1500);
  EXPECT_EQ(test::waits_here(), 0);
  const auto used = store_->usage("owner", "2026-11-21");
  ASSERT_TRUE(used);
  EXPECT_EQ(used->bytes_in, 3001u);
}

TEST_F(CheckpointerTest, TheLogBeginsAnew) {
  test::stand_still(true);
  settle(1500);
  ASSERT_TRUE(test::others_have_waited(1));
  settle(10);  // which this checkpoint leaves to the next
  const std::string before = sequence();
  test::stand_still(false);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (sequence() == before) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
  ASSERT_TRUE(store_->forget_days("2000-01-01"));  // waits for the commit that began it
  const std::uintmax_t size = log_size();
  settle(500);
  EXPECT_EQ(log_size(), size);
  EXPECT_EQ(test::waits_here(), 0);
}

}  // namespace
}  // namespace leat::store
