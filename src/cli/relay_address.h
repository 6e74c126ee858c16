// Where the agents of a relay on this machine are to go, and the text that invites one.
#pragma once

#include <string>

#include "base/address.h"
#include "base/error.h"
#include "base/secret.h"
#include "relay/relay.h"

namespace leat::cli {

bool everywhere(const HostPort& address);  // 0.0.0.0 or [::]

// What an agent is to be given as --relay. Where a proxy of this machine's ends TLS, the public URL
// is the proxy's, and its port not the one with the pinned key.
HostPort agent_address(const relay::Info& info, const relay::Options& options);

// What relay.json says of a relay that another process runs, as far as agent_address() asks.
struct RelayAtWork {
  relay::Info info;
  relay::Options options;
};
Result<RelayAtWork> relay_at_work(const std::string& state_dir);

// `leat join …`, and the QR code where there is a terminal.
std::string invitation_text(const HostPort& relay, const relay::Info& info, const Secret& code);

}  // namespace leat::cli
