// Connections to one HTTP service that wait between two exchanges. They wait for two seconds at
// most: a service closes an idle connection after some time of its own, and a request that crosses
// that close is lost, so the agent is always the one who closes first.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "net/http_io.h"
#include "net/shard.h"
#include "net/transport.h"

namespace leat::agent {

class ServicePool;

// One connection to a service and what has been read from it.
class ServiceConnection final : private net::TransportOwner {
 public:
  explicit ServiceConnection(std::unique_ptr<net::Transport> connected)
      : transport(std::move(connected)) {}

  const std::unique_ptr<net::Transport> transport;
  net::HttpReader reader;
  bool reused = false;  // has carried an exchange before this one

 private:
  friend class ServicePool;
  void on_transport() override;  // while idle

  ServicePool* pool_ = nullptr;
  Time idle_until_ = kNever;
};

class ServicePool {
 public:
  // Beyond limits::kServicePool connections the one idle longest is closed.
  explicit ServicePool(net::Shard& shard, Duration idle_time = limits::kServiceIdle);
  ~ServicePool();
  ServicePool(const ServicePool&) = delete;
  ServicePool& operator=(const ServicePool&) = delete;

  // The one used last (its caches are warm, and the others may go); null if there is none. The
  // caller becomes the transport's owner.
  std::unique_ptr<ServiceConnection> take();
  // Between two messages, everything sent and everything read; closed if the service thinks
  // otherwise.
  void put(std::unique_ptr<ServiceConnection> connection);
  std::size_t idle() const { return idle_.size(); }

 private:
  friend class ServiceConnection;
  void drop(ServiceConnection& connection);
  void close(std::unique_ptr<ServiceConnection> connection);
  void expire();

  net::Shard& shard_;
  const Duration idle_time_;
  std::vector<std::unique_ptr<ServiceConnection>> idle_;  // longest idle first
  net::Timer expiry_;
};

}  // namespace leat::agent
