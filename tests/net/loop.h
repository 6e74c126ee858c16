// A shard driven by a test: it runs until a condition holds. Everything that may change the
// condition calls poke(), so that a wake-up which never comes is seen as a test that does not end
// in time.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "net/shard.h"

namespace leat::net {

class Loop {
 public:
  explicit Loop(std::size_t ring = limits::kRing) : shard(ring) {}

  // False: the condition did not come to hold within `limit`.
  bool run(std::function<bool()> until, Duration limit = std::chrono::seconds(20)) {
    if (until()) return true;
    bool late = false;
    Timer timer(shard, [this, &late] {
      late = true;
      shard.stop();
    });
    timer.arm(std::chrono::steady_clock::now() + limit);
    until_ = std::move(until);
    shard.run();
    until_ = nullptr;
    return !late;
  }

  void poke() {
    if (until_ && until_()) shard.stop();
  }

  Shard shard;

 private:
  std::function<bool()> until_;
};

}  // namespace leat::net
