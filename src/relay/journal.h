// What has just happened, second by second, for whoever looks on: rates, how long answers took to
// begin, and the visits that ended. Hands the visits to the connection log too, where there is one.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
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

  Journal(net::Shard& shard, const Metrics& metrics);

  // STORE: there is no log then, and the rest works.
  Result<void> open_log(const std::string& path, store::ConnectionLog::Retention retention);
  store::ConnectionLog* log() { return log_.get(); }

  void answered(Duration after);
  void add(store::Connection visit);

  const std::deque<Second>& seconds() const { return seconds_; }  // the oldest first
  void listen(Listener& listener) { listeners_.push_back(&listener); }
  void forget(Listener& listener);
  std::size_t listeners() const { return listeners_.size(); }

 private:
  void turn();
  void mention_failure();

  const Metrics& metrics_;
  std::unique_ptr<store::ConnectionLog> log_;
  net::Timer timer_;
  std::deque<Second> seconds_;
  std::uint64_t in_ = 0, out_ = 0, visits_ = 0;  // up to the last second; in it
  std::vector<Duration> times_;
  std::vector<store::Connection> shown_;
  std::vector<Listener*> listeners_;
  bool failed_ = false;
};

}  // namespace leat::relay
