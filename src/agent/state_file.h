// What the agent leaves in its state directory for other programs and for its own next start.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/agent.h"
#include "agent/service.h"
#include "base/error.h"

namespace leat::agent {

// STATE_DIR/agent.json: {"state", "pid", "relay", "since", "tunnels": [{"id", "kind", "urls",
// "remote_port", "target", "error", "health", "health_error"}], "ways": {"relay", "pin", "name",
// "direct"} or null, "last_error": {"code", "detail"} or null}.
std::string state_json(const Status& status, long pid);
Result<void> write_state(const std::string& state_dir, const Status& status);

// What another process learns from that file about an agent with a sealed service.
struct SealedAgent {
  Status::Ways ways;
  std::string tunnel;                 // the first sealed one that is known to the relay; or empty
  std::string state;                  // when it was written
  std::vector<std::string> services;  // ids of all sealed ones
};
// NO_AGENT: there is no such file, or the agent has no sealed service.
Result<SealedAgent> read_sealed_agent(const std::string& state_dir);

// STATE_DIR/tunnels.json: the ids that relays generated, by relay, kind and target, so that the
// same are asked for after a restart. Of services that agree in all three the n-th of the
// configuration gets the n-th id.
class KeptIds {
 public:
  // A file that is missing or damaged keeps nothing: ids are then generated anew.
  static KeptIds load(const std::string& state_dir);

  // Empty: none is kept.
  std::string find(std::string_view relay, const Service& service, std::size_t nth) const;
  // An empty id forgets. Both write the file if something changed.
  Result<void> keep(std::string_view relay, const Service& service, std::size_t nth,
                    std::string_view id);

 private:
  struct Entry {
    std::string relay, kind, target;
    std::size_t nth = 0;
    std::string id;
  };
  explicit KeptIds(const std::string& state_dir);
  Result<void> save() const;

  std::string path_;
  std::vector<Entry> entries_;
};

}  // namespace leat::agent
