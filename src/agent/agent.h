// The agent: dials the relay, proves its identity, registers its tunnels, serves the streams the
// relay opens, and does so again whenever the connection is lost. Everything runs on one shard's
// thread.
//
//   connecting ◀──▶ online ──▶ draining ──▶ stopped
//        │            │           ▲
//        ├────────────┼───────────┘
//        └────────────┴──▶ refused
//
// STATE_DIR holds identity.pem (the key that is the agent), tunnels.json (ids the relay generated,
// so that a URL survives a restart), credential.json (what `leat join` was given) and agent.json
// (the state, for other programs).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/health.h"
#include "agent/request_log.h"
#include "agent/service.h"
#include "base/address.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/time.h"
#include "control/client.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/tls.h"

namespace leat::agent {

// How the relay is reached. Where TLS is refused because no leat/1 is spoken there, an agent tries
// a WebSocket by itself.
enum class Carrier : std::uint8_t { tls, websocket, plain_websocket };

struct Options {
  HostPort relay;
  Carrier carrier = Carrier::tls;
  std::optional<net::Proxy> proxy;  // HTTP, by CONNECT
  net::TlsContext::Trust trust;
  Secret token;            // or a JWT
  std::string joined_dir;  // whose key the token is bound to, if not state_dir's; empty: to none
  std::string state_dir;   // made with mode 0700 if it is not there
  std::string host_name;   // for the relay's lists
  std::vector<Service> services;
  std::vector<HostPort> direct;  // listens there for sealed sessions that come without the relay
  bool padding = false;          // of sealed records
  std::optional<HostPort> metrics_listen;  // for whoever serves metrics()
  bool send_governor = true;               // bounds what is on its way to the relay, by its path
};

struct TunnelStatus {
  std::string id;  // empty until the relay has generated it
  control::TunnelKind kind = control::TunnelKind::http;
  std::vector<std::string> urls;  // empty while not bound
  std::uint16_t remote_port = 0;
  std::string target;
  std::optional<Error> error;  // why it is not bound; asked for again, where that can help
  Health::State health = Health::State::unknown;  // of the service
  std::optional<Error> health_error;              // while that is down
};

struct Status {
  enum class State : std::uint8_t { connecting, online, draining, stopped, refused };

  State state = State::connecting;
  std::chrono::system_clock::time_point since;  // of the state
  std::string relay;
  std::vector<TunnelStatus> tunnels;  // in the order of the services
  // What a pairing link tells of the ways here; unset without a sealed service.
  struct Ways {
    std::string relay;  // "wss://relay.example.com:443"
    std::string pin;    // 32 raw bytes, or empty
    std::string name;   // of the machine
    std::vector<HostPort> direct;
  };
  std::optional<Ways> ways;
  std::optional<Error> last_error;  // what ended the last try or session
  // What the relay has told of, a quota that is used up perhaps, and when.
  std::optional<Error> notice;
  std::chrono::system_clock::time_point noticed;

  // These move without on_status.
  std::size_t streams = 0;                           // open now
  std::uint64_t bytes_sent = 0, bytes_received = 0;  // payload of all streams since start()
  Duration rtt{0};                                   // to the relay; 0: not measured
  std::uint32_t reconnects = 0;
};
const char* name(Status::State state);

// Codes after which the agent gives up at once: trying again cannot help, or would harm. Another
// certificate or version than its own are final only until the relay has been seen, or let it in.
bool is_final(Code code);
// Those of them that speak of the credential (exit code 3).
bool is_credential(Code code);

class Listener {
 public:
  // State, tunnels, last_error or notice have changed.
  virtual void on_status(const Status& status) = 0;
  // The agent has given up: is_final() said so, or no tunnel could be bound at first. Follows the
  // on_status that says refused.
  virtual void on_fatal(const Error& error) = 0;

 protected:
  ~Listener() = default;
};

// Neither from Listener nor from drain()'s `done` may the agent be destroyed; give it to
// Shard::dispose.
class Agent {
 public:
  // KEY_FILE, STATE_DIR, or CONFIG for services that contradict each other.
  static Result<std::unique_ptr<Agent>> create(net::Shard& shard, Options options,
                                               Listener& events);
  ~Agent();

  void start();
  // Serves these from now on: what is new is bound, what is gone is given back, what has changed is
  // served as it now is. No stream that runs is touched. CONFIG or KEY_FILE, and nothing changes.
  struct Changes {
    std::size_t added = 0, removed = 0, changed = 0;
  };
  Result<Changes> reload(std::vector<Service> services);
  // Gives the tunnels back, gives visitors nearly limits::kDrain to take what is theirs, closes,
  // and calls `done` once, never from inside.
  void drain(std::function<void()> done);
  const Status& status() const;
  const RequestLog& requests() const;
  std::string metrics() const;  // for Prometheus

 private:
  class Impl;
  explicit Agent(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace leat::agent
