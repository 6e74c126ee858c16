// The ports a relay lends to tcp tunnels. One that is given back is the last to be lent again, so
// that a visitor who still uses it does not meet somebody else there. Any thread.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/error.h"
#include "net/shard.h"
#include "net/socket.h"
#include "relay/options.h"

namespace leat::relay {

class Ports {
 public:
  // Listens, on the shard that it was lent on, until it goes. Outlived by the Ports it came from.
  class Lease {
   public:
    Lease(Ports& ports, std::size_t shard, std::string tunnel, std::uint16_t port,
          std::unique_ptr<net::Listener> listener);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    std::uint16_t port() const { return port_; }

   private:
    Ports& ports_;
    const std::size_t shard_;
    const std::thread::id thread_ = std::this_thread::get_id();  // the shard's
    const std::string tunnel_;
    const std::uint16_t port_;
    std::unique_ptr<net::Listener> listener_;
  };

  // `to_shard`: takes a listener to its shard, where it is destroyed.
  using ToShard = std::function<void(std::size_t shard, std::shared_ptr<net::Listener> listener)>;
  Ports(PortRange range, ToShard to_shard);

  // A numeric address: no name is looked up while the relay serves.
  void listen_at(std::string host) { host_ = std::move(host); }

  // `wanted` 0: any. LEAT_PORT_REFUSED, or LEAT_PORT_TAKEN, be it by another tunnel or by another
  // program; of any, so many are tried as one call may take time for. A tunnel that several agents
  // serve has one port: who asks for the same, or for any, shares it, and the first on_accept,
  // which is called on the first one's shard.
  struct Place {
    std::size_t index;
    net::Shard& shard;
  };
  Result<std::shared_ptr<Lease>> lend(Place place, const std::string& tunnel, std::uint16_t wanted,
                                      net::Listener::OnAccept on_accept);
  // What lend() would say, other programs apart.
  Result<void> may_lend(const std::string& tunnel, std::uint16_t wanted) const;

 private:
  // All of these with the lock held.
  Result<void> check(const std::string& tunnel, std::uint16_t wanted) const;
  // The tunnel's, if it is what is wanted; nullptr: it is not.
  std::shared_ptr<Lease> lent(const std::string& tunnel, std::uint16_t wanted) const;
  Result<std::shared_ptr<Lease>> open(Place place, const std::string& tunnel, std::uint16_t port,
                                      net::Listener::OnAccept on_accept);

  const PortRange range_;
  const ToShard to_shard_;
  // Recursive: whoever looks at a lease that is just being given back may be the last to hold it.
  mutable std::recursive_mutex mutex_;
  std::string host_;
  absl::flat_hash_map<std::string, std::weak_ptr<Lease>> leases_;  // by tunnel, the first
  std::deque<std::uint16_t> free_;  // the one that was given back last at the end
};

}  // namespace leat::relay
