// What every part of the relay may reach: the shard, the registry, the store, the options, and the
// lists that own connections. Lives as long as the relay.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/container/node_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/memory_budget.h"
#include "mux/abuse_guard.h"
#include "mux/memory_share.h"
#include "net/shard.h"
#include "relay/access.h"
#include "relay/accounting.h"
#include "relay/admin_door.h"
#include "relay/credentials.h"
#include "relay/journal.h"
#include "relay/metrics.h"
#include "relay/names.h"
#include "relay/options.h"
#include "relay/ports.h"
#include "relay/registry.h"
#include "relay/rooms.h"
#include "store/store.h"

namespace leat::relay {

// Owns connections of one type until they say they are over.
template <typename T>
class Owned {
 public:
  explicit Owned(net::Shard& shard) : shard_(shard) {}

  T& add(std::unique_ptr<T> object) {
    T& reference = *object;
    objects_.emplace(&reference, std::move(object));
    return reference;
  }
  // The object is destroyed after the batch of events.
  void release(T& object) {
    const auto found = objects_.find(&object);
    if (found == objects_.end()) return;
    shard_.dispose(std::move(found->second));
    objects_.erase(found);
  }
  template <typename F>
  void for_each(F visit) {  // `visit` may not release
    for (auto& [pointer, object] : objects_) visit(*object);
  }
  std::size_t size() const { return objects_.size(); }

 private:
  net::Shard& shard_;
  absl::flat_hash_map<T*, std::unique_ptr<T>> objects_;
};

// One of those that are counted, as long as it lives.
class Counted {
 public:
  explicit Counted(std::size_t& count) : count_(&count) { ++count; }
  Counted(Counted&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  Counted& operator=(Counted&&) = delete;
  ~Counted() {
    if (count_ != nullptr) --*count_;
  }

 private:
  std::size_t* count_;
};

// How many of something each address has; those that have none are not in it.
using CountOfAddress = absl::flat_hash_map<std::string, std::size_t>;

// One of those that are counted, also by address, as long as it lives. Waiting are the connections
// that have not yet shown what they want, from accept to the first head or the accepted
// Hello: at most limits::kHandshakes of them with TLS, and, with and without, at most
// limits::kHandshakesOfAddress from one address (threat 15).
class Waiting {
 public:
  explicit Waiting(std::size_t& all) : all_(all) {}
  Waiting(std::size_t& all, CountOfAddress& of_address, std::string address)
      : all_(all), of_address_(&of_address), address_(std::move(address)) {
    ++of_address[address_];
  }
  Waiting(Waiting&& other) noexcept
      : all_(std::move(other.all_)),
        of_address_(std::exchange(other.of_address_, nullptr)),
        address_(std::move(other.address_)) {}
  Waiting& operator=(Waiting&&) = delete;
  ~Waiting() {
    if (of_address_ == nullptr) return;
    const auto found = of_address_->find(address_);
    if (--found->second == 0) of_address_->erase(found);
  }

 private:
  Counted all_;
  CountOfAddress* of_address_ = nullptr;
  std::string address_;
};

class HttpVisitor;
class TcpVisitor;
class SealedVisitor;
class AgentSession;
class Arrival;
class BareAgent;
class EventStream;
class Knock;

struct Context {
  Context(net::Shard& s, store::Store& st, Options o);
  ~Context();

  net::Shard& shard;
  store::Store& store;
  Options options;
  Credentials credentials;
  Accounting accounting;  // outlives what it meters
  Registry registry;
  Rooms rooms;
  Tries tries;
  AdminDoor door;
  HourlyLimit registrations{5, 100};
  Metrics metrics;
  Journal journal;  // outlives the visits
  Ports ports;
  Names names;
  bool names_first = false;  // names below the domain lead here from everywhere: in URLs
  std::string public_url;    // without a slash at the end
  std::string public_host;
  std::string pin;                                    // "sha256:…" of the certificate's key
  std::function<void()> ask_to_drain;                 // somebody asks for what TERM does
  std::string url_of(const std::string& host) const;  // public_url with another host, without path
  std::uint16_t tls_port = 0;                         // where the world reaches the TLS listener
  bool draining = false;
  std::size_t waiting = 0;  // see Waiting
  CountOfAddress waiting_of;
  std::size_t plain_waiting = 0;  // the same of visitors who come without TLS, as many as there are
  CountOfAddress plain_waiting_of;
  // Connections of tcp and tls tunnels, which stay as long as they like.
  std::size_t spliced = 0;
  CountOfAddress spliced_of;

  // How fast each token may have new ids written down, in rows and in waits for the disk.
  struct WritePace {
    mux::TokenBucket claims{limits::kTokenClaims}, writes{limits::kTokenWrites};
  };
  absl::flat_hash_map<std::int64_t, WritePace> write_paces;

  absl::flat_hash_set<PublicKey> seen;  // agents that have been here

  // Sessions of each token: at most limits::kTokenSessions. 0: of agents without one.
  absl::node_hash_map<std::int64_t, std::size_t> token_sessions;

  // What all sessions together hold of what visitors have not taken yet.
  MemoryBudget budget;
  mux::MemoryShare memory{budget};

  // Destroyed from the last to the first: what holds streams goes before the sessions.
  Owned<EventStream> event_streams;
  Owned<AgentSession> sessions;
  Owned<BareAgent> bare_agents;
  Owned<Knock> knocks;
  Owned<Arrival> arrivals;
  Owned<TcpVisitor> tcp_visitors;
  Owned<SealedVisitor> sealed_visitors;
  Owned<HttpVisitor> http_visitors;
};

}  // namespace leat::relay
