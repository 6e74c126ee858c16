// One epoll loop, and the flows that live on it: a flow is one non-blocking socket and what is done
// with it. A loop runs on one thread; flows may be given to it by any.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace leat::bench {

std::int64_t now_ns();  // CLOCK_MONOTONIC

class Loop;

class Flow {
 public:
  explicit Flow(int fd) : fd_(fd) {}  // owned from here on
  virtual ~Flow();
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  virtual std::uint32_t wanted() const = 0;  // EPOLLIN, EPOLLOUT; asked once
  virtual void on_ready(std::uint32_t events) = 0;
  virtual void on_time(std::int64_t /*now*/) {}
  virtual void on_start(std::int64_t /*now*/) {}  // on the loop's thread, before anything else

 protected:
  int fd() const { return fd_; }
  Loop& loop() const { return *loop_; }

 private:
  friend class Loop;
  int fd_;
  Loop* loop_ = nullptr;
  std::int64_t due_ = 0;  // 0: no timer
  bool ended_ = false;
};

class Loop {
 public:
  Loop();
  ~Loop();

  void add(std::unique_ptr<Flow> flow);  // any thread
  void stop() { stopping_.store(true, std::memory_order_relaxed); }

  // Until stop() or `until`.
  void run(std::int64_t until);

  // For flows, on the loop's own thread.
  void want(Flow& flow, std::uint32_t events);
  void at(Flow& flow, std::int64_t due);  // one timer each
  void end(Flow& flow);                   // destroyed once the present batch is over
  int release(Flow& flow);                // ends it; the descriptor is the caller's
  MutableBytes scratch() { return scratch_; }

 private:
  void start_added();
  void fire(std::int64_t now);

  int epoll_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Flow>> added_;
  std::unordered_map<Flow*, std::unique_ptr<Flow>> flows_;
  std::set<std::pair<std::int64_t, Flow*>> timers_;
  std::vector<Flow*> ended_;
  std::vector<std::uint8_t> scratch_;
};

}  // namespace leat::bench
