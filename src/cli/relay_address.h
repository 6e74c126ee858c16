// Where the agents of a relay on this machine are to go, and the text that invites one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/error.h"
#include "base/secret.h"
#include "relay/relay.h"

namespace leat::cli {

bool everywhere(const HostPort& address);  // 0.0.0.0 or [::]
bool is_loopback(const HostPort& address);

// How agents come to a relay. Behind a proxy of this machine's, which ends TLS at the public URL,
// it is a WebSocket, and the certificate is the proxy's.
struct AgentDoor {
  HostPort address;
  std::string pin;  // empty: behind such a proxy

  std::string flags() const;  // "--relay … --pin …"
};
AgentDoor agent_door(const relay::Info& info, const relay::Options& options);

// What relay.json says of a relay that another process runs.
struct RelayAtWork {
  AgentDoor door;
  std::vector<std::string> plans;
  std::optional<HostPort> admin_listen;
};
Result<RelayAtWork> relay_at_work(const std::string& state_dir);

// `leat join …`, and the QR code where there is a terminal.
std::string invitation_text(const AgentDoor& door, const Secret& code);

}  // namespace leat::cli
