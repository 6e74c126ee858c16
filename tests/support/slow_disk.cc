#include "support/slow_disk.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace leat::test {
namespace {

struct Disk {
  std::mutex mutex;
  std::condition_variable changed;
  std::thread::id here;
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

void watch_disk() {
  const std::lock_guard lock(disk.mutex);
  disk.here = std::this_thread::get_id();
  disk.waits_here = disk.waits_elsewhere = 0;
}

void stand_still(bool still) {
  const std::lock_guard lock(disk.mutex);
  disk.stands = still;
  disk.changed.notify_all();
}

int waits_here() {
  const std::lock_guard lock(disk.mutex);
  return disk.waits_here;
}

int waits_elsewhere() {
  const std::lock_guard lock(disk.mutex);
  return disk.waits_elsewhere;
}

bool others_have_waited(int number) {
  std::unique_lock lock(disk.mutex);
  return disk.changed.wait_for(lock, std::chrono::seconds(30),
                               [&] { return disk.waits_elsewhere >= number; });
}

}  // namespace leat::test

extern "C" int fsync(int file) { return leat::test::sync_file(file); }
extern "C" int fdatasync(int file) { return leat::test::sync_file(file); }
