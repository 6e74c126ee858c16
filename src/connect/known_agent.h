// What this device keeps of the agents it is paired with: DIR/NAME.agent, one file each, mode 0600.
// The device has another key for each, so that two agents cannot tell that it is the same device.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "connect/link.h"
#include "crypto/x25519.h"

namespace leat::connect {

struct KnownAgent {
  std::string file;  // name, without directory and ending
  Agent agent;
  crypto::KeyPair own;
  std::string pairing;  // the id of the link it came by
  bool paired = false;

  // By file name, else by tunnel id or the agent's own name, if only one has it. UNKNOWN_DEVICE:
  // there is none; USAGE: there are several; KEY_FILE.
  static Result<KnownAgent> find(const std::string& directory, std::string_view name);
  // The one this link made, or a new one, which is written at once.
  static Result<KnownAgent> of_link(const std::string& directory, const Link& link);
  // The agent has taken this device in, by this `way` (Session::Owner::on_connected). What an older
  // link left of the same agent (by its key, or by the same tunnel at the end of the same way,
  // under a key that it had before) goes, and this takes its file name.
  Result<void> come_through(const std::string& directory, std::string_view way);
  Result<void> save(const std::string& directory) const;
};

}  // namespace leat::connect
