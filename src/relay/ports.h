// The ports a relay lends to tcp tunnels. One that is given back is the last to be lent again, so
// that a visitor who still uses it does not meet somebody else there.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "base/error.h"
#include "net/shard.h"
#include "net/socket.h"
#include "relay/options.h"

namespace leat::relay {

class Ports {
 public:
  // Listens, until it goes. Outlived by the Ports it came from.
  class Lease {
   public:
    Lease(Ports& ports, std::string tunnel, std::uint16_t port,
          std::unique_ptr<net::Listener> listener);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    std::uint16_t port() const { return port_; }

   private:
    Ports& ports_;
    const std::string tunnel_;
    const std::uint16_t port_;
    const std::unique_ptr<net::Listener> listener_;
  };

  Ports(net::Shard& shard, PortRange range);

  // A numeric address: no name is looked up while the relay serves.
  void listen_at(std::string host) { host_ = std::move(host); }

  // `wanted` 0: any. LEAT_PORT_REFUSED, or LEAT_PORT_TAKEN, be it by another tunnel or by another
  // program; of any, so many are tried as one call may take time for. A tunnel that several agents
  // serve has one port: who asks for the same, or for any, shares it, and the first on_accept.
  Result<std::shared_ptr<Lease>> lend(const std::string& tunnel, std::uint16_t wanted,
                                      net::Listener::OnAccept on_accept);
  // What lend() would say, other programs apart.
  Result<void> may_lend(const std::string& tunnel, std::uint16_t wanted) const;

 private:
  // The tunnel's, if it is what is wanted; nullptr: it is not.
  std::shared_ptr<Lease> lent(const std::string& tunnel, std::uint16_t wanted) const;
  Result<std::shared_ptr<Lease>> open(const std::string& tunnel, std::uint16_t port,
                                      net::Listener::OnAccept on_accept);

  net::Shard& shard_;
  const PortRange range_;
  std::string host_;
  absl::flat_hash_map<std::string, std::weak_ptr<Lease>>
      leases_;                      // by tunnel, the first; none has expired
  std::deque<std::uint16_t> free_;  // the one that was given back last at the end
};

}  // namespace leat::relay
