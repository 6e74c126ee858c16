// Names become addresses on threads of their own, since getaddrinfo() waits for as long as the
// system's name servers take: a name whose servers are dead delays neither another name nor the end
// of a shard. The threads are few, belong to the process, and are never waited for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/shard.h"
#include "net/socket_address.h"

namespace leat::net {

// A question somebody waits for. On the shard's thread: made, told and destroyed.
class Resolver {
 public:
  Resolver() = default;
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

 protected:
  // Nobody is told after this.
  virtual ~Resolver();
  // on_resolved() follows, never from inside; who asks for the same at the same time shares the
  // answer. Once.
  void ask(Shard& shard, const std::string& host, std::uint16_t port);
  void forget();
  // In the resolver's order of preference; empty: `why` says it.
  virtual void on_resolved(std::vector<SocketAddress> addresses, const std::string& why) = 0;

 private:
  // What a thread holds of it; null once nobody waits.
  std::shared_ptr<Resolver*> self_;
  std::string question_;
};

}  // namespace leat::net
