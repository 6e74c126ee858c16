// What the shards have to know of each other: where an agent's session lives, which shards have
// sessions that serve a tunnel, and how many tunnels an owner has in all. Written when agents come,
// go, bind and say how their services are; read when a visitor has said where it wants to go. Any
// thread; what it answers may be otherwise a moment later, and whoever comes too late finds nobody.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/signature.h"
#include "control/client.h"

namespace leat::relay {

class Account;

class Directory {
 public:
  explicit Directory(std::size_t shards) : sessions_(shards) {}

  // An agent's place on a shard, as long as it lives.
  class Seat {
   public:
    // Where its identity has a session already, so that a new one meets its ghost; otherwise where
    // there are fewest.
    Seat(Directory& directory, const PublicKey& identity);
    Seat(Seat&& other) noexcept;
    Seat& operator=(Seat&&) = delete;
    ~Seat();
    std::size_t shard() const { return shard_; }

   private:
    Directory* directory_;
    PublicKey identity_;
    std::size_t shard_;
  };

  // Whether this agent has been let in before, of those that are remembered.
  bool has_been_here(const PublicKey& identity);

  // So many sessions of that shard serve the tunnel, so many of them with a service that is up.
  void update(std::size_t shard, const std::string& tunnel, control::TunnelKind kind,
              std::size_t sessions, std::size_t healthy);
  // The shard whose turn it is to have a visitor of the tunnel, by how many sessions with a service
  // that is up it has; where none has, by how many sessions. nullopt: nobody serves it.
  std::optional<std::size_t> turn(const std::string& tunnel, control::TunnelKind kind);
  // The next one after `here` that has such a session.
  std::optional<std::size_t> instead(const std::string& tunnel, control::TunnelKind kind,
                                     std::size_t here) const;
  bool serves(const std::string& tunnel, control::TunnelKind kind) const;
  std::size_t count(const std::string& tunnel) const;  // of sessions, of all shards
  std::vector<std::size_t> shards_of(const std::string& tunnel) const;

  // A tunnel is one of its owner's, as long as this lives; the owner outlives it. Several may hold
  // the same: it is one.
  class Held {
   public:
    Held(Held&& other) noexcept;
    Held& operator=(Held&& other) noexcept;
    ~Held();

   private:
    friend class Directory;
    Held(Directory& directory, const Account& owner, std::string tunnel)
        : directory_(&directory), owner_(&owner), tunnel_(std::move(tunnel)) {}
    Directory* directory_;
    const Account* owner_;
    std::string tunnel_;
  };
  // nullopt: with it the owner would have more than `most`.
  std::optional<Held> hold(const Account& owner, const std::string& tunnel, std::size_t most);

 private:
  struct Serving {
    std::size_t shard;
    control::TunnelKind kind;
    std::size_t sessions, healthy;
  };
  struct Home {
    std::size_t shard, sessions;
  };

  mutable std::mutex mutex_;
  std::vector<std::size_t> sessions_;  // of each shard
  absl::flat_hash_map<PublicKey, Home> homes_;
  absl::flat_hash_set<PublicKey> seen_;
  struct Tunnel {
    std::vector<Serving> served;  // by shards in order
    std::size_t turn = 0;
  };
  absl::flat_hash_map<std::string, Tunnel> tunnels_;
  absl::flat_hash_map<const Account*, std::map<std::string, std::size_t>> held_;
};

}  // namespace leat::relay
