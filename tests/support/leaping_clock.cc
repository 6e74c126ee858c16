#include "support/leaping_clock.h"

#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <ctime>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
std::atomic<std::int64_t> ahead{0};

}  // namespace

namespace leat::test {

void leap(std::chrono::steady_clock::duration time) { ahead += time.count(); }

}  // namespace leat::test

// In place of the library's …
std::chrono::steady_clock::time_point std::chrono::steady_clock::now() noexcept {
  timespec at{};
  ::clock_gettime(CLOCK_MONOTONIC, &at);
  return time_point(std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec + ahead));
}

// … and for those who tell the kernel a time of that clock.
extern "C" int timerfd_settime(int file, int flags, const itimerspec* when,
                               itimerspec* before) noexcept {
  itimerspec real = *when;
  if ((flags & TFD_TIMER_ABSTIME) != 0) {
    const std::int64_t at =
        std::max<std::int64_t>(when->it_value.tv_sec * kSecond + when->it_value.tv_nsec - ahead, 1);
    real.it_value = {at / kSecond, at % kSecond};
  }
  return static_cast<int>(::syscall(SYS_timerfd_settime, file, flags, &real, before));
}
