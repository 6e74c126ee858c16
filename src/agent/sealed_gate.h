// Where sealed sessions are let in: who may (devices.h), what they may reach, and how many at once.
// They come as streams of the relay's or, on the addresses given for that, directly; to both the
// same door opens (docs/protocol.md §8).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/devices.h"
#include "agent/egress.h"
#include "agent/sealed_peer.h"
#include "base/address.h"
#include "base/file_watch.h"
#include "base/limits.h"
#include "base/memory_budget.h"
#include "crypto/identity.h"
#include "mux/memory_share.h"
#include "net/shard.h"
#include "net/socket.h"

namespace leat::agent {

class SealedGate final : private SealedPeer::Owner {
 public:
  struct Services {
    // The services that are reached sealed, in the order of the configuration.
    std::function<std::vector<std::shared_ptr<Egress>>()> all;
  };
  // `identity`, which outlives the gate, is what identity.pem in STATE_DIR holds. A sealing key
  // that is put there later is taken up in place of the one before, of which nothing remains, and
  // ends every session under that.
  SealedGate(net::Shard& shard, crypto::Identity& identity, const std::string& state_dir,
             bool padding, Services services);
  ~SealedGate();

  // Takes direct connections too. LISTEN.
  Result<void> listen(const HostPort& address);
  // Where they come to: of an address that stands for all, those of this machine.
  std::vector<HostPort> addresses() const;

  // Sessions end when their streams have: all, or those that came through the relay.
  void drain(bool all);

  // --- for peers ---

  net::Shard& shard() { return shard_; }
  // As the file has it now; good until the next call.
  const crypto::KeyPair& key();
  bool padding() const { return padding_; }
  // Whether there are as many sessions as may be.
  bool full() const;
  // For one more handshake. The oldest of too many, of those from one network or of all that came
  // the same way, goes for it: who means it is through with its own by then.
  void make_room(bool direct, const std::string& host);
  void add(SealedPeer& peer);
  void remove(SealedPeer& peer);
  // Whether this device has as many sessions as it may.
  bool crowded_by(const crypto::X25519Key& device) const;
  // What all sessions hold together.
  mux::MemoryShare& memory() { return memory_; }

  // UNKNOWN_DEVICE, REVOKED, or STATE_DIR while the list cannot be read.
  Result<const Device*> admit(const crypto::X25519Key& key);
  const Device* device(const crypto::X25519Key& key) const { return devices_.by_key(key); }
  // PAIRING_USED, PAIRING_OVER, STATE_DIR.
  Result<const Pairing*> pairing(std::string_view id);
  // `ephemeral`, of message 1: one that is repeated is no further try.
  void failed_try(std::string_view pairing, const std::string& ephemeral);
  Result<std::string> enrol(std::string_view pairing, std::string_view name,
                            const crypto::X25519Key& key);
  // By id; of an empty one, `tunnel`, which the device came for, or the only service there is.
  // Null: none, or not for it.
  std::shared_ptr<Egress> find(std::string_view id, std::string_view tunnel,
                               const Scope& scope) const;
  std::vector<std::shared_ptr<Egress>> services() const { return services_.all(); }

 private:
  static constexpr std::size_t kSessions = 256, kOfDevice = 16;
  static constexpr std::size_t kHandshakes = 64, kOfNetwork = 8;  // each way

  void on_accept(net::Fd socket);
  void on_peer_end(SealedPeer& peer) override;
  void look();
  Result<void> reload();
  void look_at_key();

  net::Shard& shard_;
  crypto::Identity& identity_;
  const std::string key_path_;
  FileWatch key_file_;
  const bool padding_;
  const Services services_;
  DeviceFile file_;
  Devices devices_;
  std::optional<Error> unreadable_;
  net::Timer look_;
  MemoryBudget budget_{256 * limits::MiB};
  mux::MemoryShare memory_{budget_};
  std::set<std::string, std::less<>> tried_;  // ephemeral keys of the tries counted
  std::vector<SealedPeer*> peers_;            // the oldest first
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<std::unique_ptr<SealedPeer>> direct_;
};

}  // namespace leat::agent
