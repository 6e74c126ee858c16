#include "load/loop.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "base/limits.h"

namespace leat::bench {
namespace {

constexpr std::int64_t kLongestWait = 10'000'000;  // ns; how late stop() and add() may be seen

}  // namespace

std::int64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

Flow::~Flow() {
  if (fd_ >= 0) ::close(fd_);
}

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), scratch_(256 * limits::KiB) {}

Loop::~Loop() { ::close(epoll_); }

void Loop::add(std::unique_ptr<Flow> flow) {
  flow->loop_ = this;
  const std::lock_guard lock(mutex_);
  added_.push_back(std::move(flow));
}

void Loop::start_added() {
  std::vector<std::unique_ptr<Flow>> added;
  {
    const std::lock_guard lock(mutex_);
    added.swap(added_);
  }
  for (auto& owned : added) {
    Flow& flow = *owned;
    flows_.emplace(&flow, std::move(owned));
    epoll_event event{.events = flow.wanted(), .data = {.ptr = &flow}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, flow.fd_, &event);
    flow.on_start(now_ns());
  }
}

void Loop::want(Flow& flow, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.ptr = &flow}};
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, flow.fd_, &event);
}

void Loop::at(Flow& flow, std::int64_t due) {
  if (flow.due_ != 0) timers_.erase({flow.due_, &flow});
  flow.due_ = due;
  timers_.emplace(due, &flow);
}

void Loop::end(Flow& flow) {
  if (flow.ended_) return;
  flow.ended_ = true;
  if (flow.due_ != 0) timers_.erase({flow.due_, &flow});
  ended_.push_back(&flow);
}

int Loop::release(Flow& flow) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, flow.fd_, nullptr);
  end(flow);
  return std::exchange(flow.fd_, -1);
}

void Loop::fire(std::int64_t now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Flow& flow = *timers_.begin()->second;
    timers_.erase(timers_.begin());
    flow.due_ = 0;
    flow.on_time(now);
  }
}

void Loop::run(std::int64_t until) {
  std::array<epoll_event, 256> events;
  while (!stopping_.load(std::memory_order_relaxed)) {
    start_added();
    const std::int64_t now = now_ns();
    if (now >= until) return;
    fire(now);
    std::int64_t wait = std::min(kLongestWait, until - now);
    if (!timers_.empty()) wait = std::clamp<std::int64_t>(timers_.begin()->first - now, 0, wait);
    const timespec timeout{.tv_sec = 0, .tv_nsec = wait};
    const int n =
        ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    for (int i = 0; i < n; ++i) {
      Flow& flow = *static_cast<Flow*>(events[i].data.ptr);
      if (!flow.ended_) flow.on_ready(events[i].events);
    }
    for (Flow* flow : ended_) flows_.erase(flow);  // closes, which takes it out of the epoll set
    ended_.clear();
  }
}

}  // namespace leat::bench
