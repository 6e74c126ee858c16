// What every part of the relay may reach: the shard, the registry, the store, the options, and the
// lists that own connections. Lives as long as the relay.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/node_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/memory_budget.h"
#include "mux/abuse_guard.h"
#include "mux/memory_share.h"
#include "net/shard.h"
#include "relay/options.h"
#include "relay/ports.h"
#include "relay/registry.h"
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

// A TLS connection that has not yet shown what it wants, from accept to the first head or the
// accepted Hello: at most limits::kHandshakes of them (threat 15).
using Waiting = Counted;

class HttpVisitor;
class TcpVisitor;
class SealedVisitor;
class AgentSession;
class Arrival;

struct Context {
  Context(net::Shard& s, store::Store& st, Options o);
  ~Context();

  net::Shard& shard;
  store::Store& store;
  Options options;
  Registry registry;
  Ports ports;
  std::string public_url;  // without a slash at the end
  std::string public_host;
  bool draining = false;
  std::size_t waiting = 0;  // see Waiting

  // How fast each token may have new ids written down, in rows and in waits for the disk.
  struct WritePace {
    mux::TokenBucket claims{limits::kTokenClaims}, writes{limits::kTokenWrites};
  };
  absl::flat_hash_map<std::int64_t, WritePace> write_paces;

  // Sessions of each token: at most limits::kTokenSessions.
  absl::node_hash_map<std::int64_t, std::size_t> token_sessions;

  // What all sessions together hold of what visitors have not taken yet.
  MemoryBudget budget;
  mux::MemoryShare memory{budget};

  // Destroyed from the last to the first: what holds streams goes before the sessions.
  Owned<AgentSession> sessions;
  Owned<Arrival> arrivals;
  Owned<TcpVisitor> tcp_visitors;
  Owned<SealedVisitor> sealed_visitors;
  Owned<HttpVisitor> http_visitors;
};

}  // namespace leat::relay
