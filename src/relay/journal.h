// What has just happened, second by second, for whoever looks on: rates, how long answers took to
// begin, and the visits that ended. Hands the visits to the connection log too, where there is one.
// Visits end on any thread; all else is for the thread of the shard it was made with.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "net/shard.h"
#include "relay/metrics.h"
#include "store/connection_log.h"

namespace leat::relay {

class Journal {
 public:
  // How many seconds are remembered, visits shown of one of them, and answers timed in it.
  static constexpr std::size_t kSeconds = 300, kShown = 50, kTimed = 4096;

  struct Second {
    std::chrono::sys_seconds at{};
    std::uint64_t bytes_in = 0, bytes_out = 0;
    std::uint64_t visits = 0;            // that ended
    std::optional<Duration> half, most;  // half, and 95 of 100, of the answers had begun by then
  };
  class Listener {
   public:
    // A second is over; `visits` are the last of it. May not listen or forget.
    virtual void on_second(const Second& second, const std::vector<store::Connection>& visits) = 0;

   protected:
    ~Listener() = default;
  };

  explicit Journal(net::Shard& shard);
  // Of one more shard; they outlive the last second.
  void watch(const Metrics& metrics) { metrics_.push_back(&metrics); }

  // STORE: there is no log then, and the rest works.
  Result<void> open_log(const std::string& path, store::ConnectionLog::Retention retention);
  store::ConnectionLog* log() { return log_.get(); }

  // Any thread.
  void answered(Duration after);
  void add(store::Connection visit);

  const std::deque<Second>& seconds() const { return seconds_; }  // the oldest first
  void listen(Listener& listener);
  void forget(Listener& listener);
  std::size_t listeners() const { return listeners_.size(); }

 private:
  void turn();
  void mention_failure();

  std::vector<const Metrics*> metrics_;
  std::unique_ptr<store::ConnectionLog> log_;
  net::Timer timer_;
  std::deque<Second> seconds_;
  std::uint64_t in_ = 0, out_ = 0;  // up to the last second
  std::vector<Listener*> listeners_;
  bool failed_ = false;
  std::mutex mutex_;  // of what follows
  std::uint64_t visits_ = 0;
  bool shows_ = false;  // somebody listens
  std::vector<Duration> times_;
  std::vector<store::Connection> shown_;
};

}  // namespace leat::relay
