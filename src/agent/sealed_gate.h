// Where sealed sessions are let in: who may (devices.h), what they may reach, and how many at once.
// They come as streams of the relay's or, on the addresses given for that, directly; to both the
// same door opens (docs/protocol.md §8).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
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
#include "mux/session.h"
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
  // that is put there later is taken up, and ends every session under the one before.
  SealedGate(net::Shard& shard, const crypto::Identity& identity, const std::string& state_dir,
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
  // Makes room for one more that shakes hands, who comes from `peer` ("192.0.2.1:5000"). Where
  // there is none, whoever has shown nothing for the longest ends. False: each has shown something.
  bool make_room(bool direct, const std::string& peer);
  // Whether `device` may have one more session. Of those it has the oldest goes for it.
  bool seat(const crypto::X25519Key& device);
  // What all sessions together may hold is bounded, and how much each may ask of services.
  mux::Config session_config();
  void add(SealedPeer& peer);
  void remove(SealedPeer& peer);

  // UNKNOWN_DEVICE, REVOKED, or STATE_DIR while the list cannot be read.
  Result<const Device*> admit(const crypto::X25519Key& key);
  const Device* device(const crypto::X25519Key& key) const { return devices_.by_key(key); }
  // PAIRING_USED, PAIRING_OVER, STATE_DIR.
  Result<const Pairing*> pairing(std::string_view id);
  void failed_try(std::string_view pairing);
  Result<std::string> enrol(std::string_view pairing, std::string_view name,
                            const crypto::X25519Key& key);
  // By id; of an empty one, `tunnel` or the only service there is. Null: none, or not for it.
  std::shared_ptr<Egress> find(std::string_view id, std::string_view tunnel,
                               const Scope& scope) const;
  std::vector<std::shared_ptr<Egress>> services() const { return services_.all(); }

 private:
  static constexpr std::size_t kHandshakes = 64;  // at once, by the relay, and as many directly …
  static constexpr std::size_t kPerAddress = 16;  // … of them from one address, or /64
  static constexpr std::size_t kSessions = 256;
  static constexpr std::size_t kSessionsOfDevice = 16;
  static constexpr std::uint32_t kStreams = 256;  // of a session
  // An eighth of it is what a session may hold by itself.
  static constexpr std::size_t kMemory = 8 * limits::kSessionReceiveBudget;

  void on_accept(net::Fd socket);
  void on_peer_end(SealedPeer& peer) override;
  void look();
  Result<void> reload();
  void look_at_key();

  net::Shard& shard_;
  const crypto::Identity& identity_;
  const std::string key_path_;
  FileWatch key_file_;
  std::optional<crypto::Identity> rotated_;
  const bool padding_;
  const Services services_;
  DeviceFile file_;
  Devices devices_;
  std::optional<Error> unreadable_;
  net::Timer look_;
  MemoryBudget memory_{kMemory};
  mux::MemoryShare share_{memory_};
  std::vector<SealedPeer*> peers_;  // in the order in which they came
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<std::unique_ptr<SealedPeer>> direct_;
};

}  // namespace leat::agent
