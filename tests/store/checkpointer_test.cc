// What owners use is written down without waiting for the disk: this program's own fsync() tells
// who waits, and lets a disk stand still.
#include "store/checkpointer.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "store/store.h"
#include "support/temp_dir.h"

namespace {

// The disk, as seen by all threads of this program.
struct Disk {
  std::mutex mutex;
  std::condition_variable changed;
  std::thread::id here;  // the thread that is not to wait
  int waits_here = 0, waits_elsewhere = 0;
  bool stands = false;
} disk;

int sync_file(int file) {
  {
    std::unique_lock lock(disk.mutex);
    const bool here = std::this_thread::get_id() == disk.here;
    ++(here ? disk.waits_here : disk.waits_elsewhere);
    disk.changed.notify_all();
    if (!here) disk.changed.wait(lock, [] { return !disk.stands; });
  }
  return static_cast<int>(::syscall(SYS_fdatasync, file));
}

}  // namespace

// In the place of the C library's.
extern "C" int fsync(int file) { return sync_file(file); }
extern "C" int fdatasync(int file) { return sync_file(file); }

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
    const std::lock_guard lock(disk.mutex);
    disk.here = std::this_thread::get_id();
    disk.waits_here = disk.waits_elsewhere = 0;
    disk.stands = false;
  }
  ~CheckpointerTest() override { stand_still(false); }

  // As many pages as owners, and some.
  void settle(int times) {
    for (int i = 0; i < times; ++i) {
      const auto done = store_->settle({{"owner", "2026-11-21", {1, 2, 3}}}, {});
      ASSERT_TRUE(done) << done.error().text();
    }
  }
  static void stand_still(bool still) {
    const std::lock_guard lock(disk.mutex);
    disk.stands = still;
    disk.changed.notify_all();
  }
  static void wait_for_waits_elsewhere(int number) {
    std::unique_lock lock(disk.mutex);
    disk.changed.wait(lock, [&] { return disk.waits_elsewhere >= number; });
  }
  static int waits_here() {
    const std::lock_guard lock(disk.mutex);
    return disk.waits_here;
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
  stand_still(true);
  settle(1500);
  wait_for_waits_elsewhere(1);  // the checkpoint waits
  settle(1500);
  EXPECT_EQ(waits_here(), 0);
  const auto used = store_->usage("owner", "2026-11-21");
  ASSERT_TRUE(used);
  EXPECT_EQ(used->bytes_in, 3001u);
}

TEST_F(CheckpointerTest, TheLogBeginsAnew) {
  stand_still(true);
  settle(1500);
  wait_for_waits_elsewhere(1);
  settle(10);  // which this checkpoint leaves to the next
  const std::string before = sequence();
  stand_still(false);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (sequence() == before) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
  ASSERT_TRUE(store_->forget_days("2000-01-01"));  // waits for the commit that began it
  const std::uintmax_t size = log_size();
  settle(500);
  EXPECT_EQ(log_size(), size);
  EXPECT_EQ(waits_here(), 0);
}

}  // namespace
}  // namespace leat::store
