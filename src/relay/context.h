// What every part of the relay may reach: the shard, the registry, the store, the options, and the
// lists that own connections, of the shard it is on; and what all shards share. Lives as long as
// the relay. docs/adr/0005-shards.md
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/memory_budget.h"
#include "mux/abuse_guard.h"
#include "mux/memory_share.h"
#include "net/shard.h"
#include "net/tls.h"
#include "relay/access.h"
#include "relay/accounting.h"
#include "relay/admin_door.h"
#include "relay/credentials.h"
#include "relay/crowd.h"
#include "relay/directory.h"
#include "relay/head_room.h"
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

struct Context;

class HttpVisitor;
class TcpVisitor;
class SealedVisitor;
class AgentSession;
class Arrival;
class BareAgent;
class EventStream;
class Knock;

// How fast each token may have new ids written down, in rows and in waits for the disk. Any thread.
class WritePaces {
 public:
  bool write(std::int64_t token, Time now) {
    const std::lock_guard lock(mutex_);
    return paces_[token].writes.take(1, now);
  }
  bool claim(std::int64_t token, std::size_t rows, Time now) {
    const std::lock_guard lock(mutex_);
    return paces_[token].claims.take(static_cast<std::uint32_t>(rows), now);
  }

 private:
  struct Pace {
    mux::TokenBucket claims{limits::kTokenClaims}, writes{limits::kTokenWrites};
  };
  std::mutex mutex_;
  absl::flat_hash_map<std::int64_t, Pace> paces_;
};

// What the shards of a relay share. Everything here takes care of itself, whichever thread asks,
// but for what is said to be the first shard's.
struct Common {
  // Of `shards` the first settles accounts and turns the journal, with its `store`; all outlive
  // this.
  Common(std::vector<net::Shard*> shards, store::Store& store, Options options);

  const Options options;
  Accounting accounting;  // outlives what it meters
  Directory directory;
  Journal journal;  // outlives the visits
  Ports ports;
  Names names;
  // Waiting are the connections that have not yet shown what they want, from accept to the first
  // head or the accepted Hello: at most limits::kHandshakes of them with TLS, and, with and
  // without, at most limits::kHandshakesOfAddress from one address (threat 15). A later head that
  // has come in part waits like the first.
  Crowd waiting, plain_waiting;
  Crowd spliced;  // connections of tcp and tls tunnels, which stay as long as they like …
  Crowd http;     // … and those of visitors who speak HTTP, or began with it
  HeadRooms head_rooms;
  // Sessions of each token: at most limits::kTokenSessions. "0": of agents without one.
  Crowd token_sessions;
  WritePaces write_paces;
  Tries tries;
  Crowd travelling;  // connections on their way from one shard to another
  // What all sessions together hold of what visitors have not taken yet.
  MemoryBudget budget;

  // Before there are visitors; then it does not change.
  bool names_first = false;  // names below the domain lead here from everywhere: in URLs
  std::string public_url;    // without a slash at the end
  std::string public_host;
  std::uint16_t tls_port = 0;  // where the world reaches the TLS listener

  const std::vector<net::Shard*> shards;
  // Runs soon on that shard's thread, unless its context is gone by then.
  void post(std::size_t shard, std::function<void(Context&)> work);
  // Runs on each shard's thread, one after the other, and returns when it has. From the first one's
  // thread, which may hold no lock meanwhile.
  void everywhere(const std::function<void(Context&)>& work);

  std::string url_of(const std::string& host) const;  // public_url with another host, without path

 private:
  friend struct Context;
  struct Inbox {
    std::mutex mutex;
    std::vector<std::function<void(Context&)>> work;
    std::shared_ptr<Context*> context = std::make_shared<Context*>(nullptr);  // its thread's
  };
  void open_inbox(Context& context);

  std::vector<std::unique_ptr<Inbox>> inboxes_;  // what nobody took goes before all else
};

// One shard's. All of it is for that shard's thread alone.
struct Context {
  Context(net::Shard& s, store::Store& st, Common& c, std::size_t i);
  ~Context();

  net::Shard& shard;
  store::Store& store;
  Common& common;
  const std::size_t index;  // of the shard
  const Options& options;
  Credentials credentials;
  Accounting& accounting;
  HeldBack held_back;
  Registry registry;
  Rooms rooms;  // of the first: bare agents are there
  Tries& tries;
  AdminDoor door;                      // the first's, as is
  HourlyLimit registrations{5, 100};   // this …
  std::function<void()> ask_to_drain;  // … and this: somebody asks for what TERM does
  Metrics metrics;
  Journal& journal;
  Ports& ports;
  Names& names;
  std::shared_ptr<const net::TlsContext> tls;
  std::string pin;  // "sha256:…" of the certificate's key
  bool draining = false;

  // The shard that a visitor of the tunnel is to go to; where nobody serves it, this one. `hops`:
  // so often has it been sent on; where it came to it stays, if there is an agent that answers.
  std::size_t place_of(const std::string& tunnel, control::TunnelKind kind, std::size_t hops) const;

  // Whether there are as many visitors as there may be, of that kind or from that network; "" is
  // none that is counted for itself.
  bool crowded(const Crowd& kind, const std::string& network) const;

  mux::MemoryShare memory;

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
