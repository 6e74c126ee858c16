// What every part of the relay may reach: the shard, the registry, the store, the options, and the
// lists that own connections. Lives as long as the relay.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <string>

#include "net/shard.h"
#include "relay/options.h"
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

class HttpVisitor;
class TcpVisitor;
class AgentSession;
class Arrival;

struct Context {
  Context(net::Shard& s, store::Store& st, Options o);
  ~Context();

  net::Shard& shard;
  store::Store& store;
  Options options;
  Registry registry;
  std::string public_url;  // without a slash at the end
  std::string public_host;
  bool draining = false;

  // Destroyed from the last to the first: what holds streams goes before the sessions.
  Owned<AgentSession> sessions;
  Owned<Arrival> arrivals;
  Owned<TcpVisitor> tcp_visitors;
  Owned<HttpVisitor> http_visitors;
};

}  // namespace leat::relay
