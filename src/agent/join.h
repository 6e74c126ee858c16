// Exchanges a join code for a credential: one connection to the relay, as an agent without
// tunnels, which ends once the credential is there.
#pragma once

#include <functional>
#include <memory>

#include "agent/agent.h"
#include "agent/credential_file.h"
#include "base/secret.h"

namespace leat::agent {

class Join {
 public:
  // `done` is called once, never from inside; not to destroy the Join from it, use Shard::dispose.
  using Done = std::function<void(Result<JoinedRelay>)>;

  // Of `options` relay, carrier, proxy, trust, state_dir and host_name count; state_dir gets the
  // identity, if it has none yet. STATE_DIR, KEY_FILE.
  static Result<std::unique_ptr<Join>> start(net::Shard& shard, Options options, Secret code,
                                             Done done);
  virtual ~Join() = default;
};

}  // namespace leat::agent
