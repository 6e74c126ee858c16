// One shard's part of a relay: its context, and the doors where it lets others in. Made by the
// first shard's thread, then its own's; destroyed there, too.
#pragma once

#include <memory>
#include <optional>

#include "base/address.h"
#include "base/error.h"
#include "net/socket.h"
#include "relay/context.h"
#include "relay/knock.h"

namespace leat::relay {

class Part {
 public:
  Context context;

  Part(net::Shard& shard, store::Store& store, Common& common, std::size_t index);
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  ~Part();

  // LISTEN. The first opens the relay's doors, the others share those of TLS and plain HTTP.
  Result<void> open_doors(const Options& options);
  Result<void> share_doors(const Part& first);
  void close_doors();  // but for the admin's
  // As bound; nullopt: there is none.
  struct Doors {
    HostPort tls;
    std::optional<HostPort> plain, admin;
  };
  Doors doors() const;

 private:
  void admit(Knock::Guest guest);
  void accept_plain(Knock::Guest guest, bool tunnels);
  net::Listener::OnAccept on_tls();
  net::Listener::OnAccept on_plain();

  std::unique_ptr<net::Listener> tls_door_, plain_door_, admin_door_;
};

}  // namespace leat::relay
