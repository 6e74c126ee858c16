// The relay: listeners, and the life of the whole from start to the end of a drain. Accepts agents
// and visitors; never dials out to either.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "net/shard.h"
#include "relay/options.h"

namespace leat::relay {

struct Info {
  HostPort listen;  // as bound
  std::optional<HostPort> plain_listen, admin_listen;
  std::string pin;                    // "sha256:…" of the certificate's key
  std::string public_url;             // "https://host:port"
  std::optional<Secret> first_token;  // made now, because there was none
  bool first_token_kept = false;      // … and Options::first_token_file has it
  std::optional<Secret> join_code;    // made now, for one agent, soon
};

class Relay {
 public:
  // Opens the store, makes certificate and first token where there are none, binds, and writes
  // STATE_DIR/relay.json. Errors: LISTEN, STATE_DIR, STORE, KEY_FILE.
  static Result<std::unique_ptr<Relay>> start(net::Shard& shard, Options options);
  virtual ~Relay() = default;

  virtual const Info& info() const = 0;
  // Takes the plans, and reads the certificate, its key and the keys of JWTs again, for what comes
  // from now on. KEY_FILE, and nothing changes. Gives the names of options that are others than at
  // the start and need a new one.
  virtual Result<std::vector<std::string>> reload(const Options& options) = 0;
  // Refuses new work, tells the agents, waits for what runs (limits::kDrain at most), then calls
  // `done`.
  virtual void drain(std::function<void()> done) = 0;
  // Reads Options::jwt_keys again; on an error the old keys stay. Sessions that are there stay too.
  virtual Result<void> reload_keys() = 0;
  // Called when an administrator asks for a drain; without it the relay drains and stays.
  virtual void on_drain_asked(std::function<void()> ask) = 0;
  // From now on; what has been used stays used.
  virtual void set_plans(Plans plans) = 0;
};

}  // namespace leat::relay
