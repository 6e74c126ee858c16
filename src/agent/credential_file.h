// STATE_DIR/credential.json: what `leat join` was given for a code, mode 0600. Good with the key
// that joined (identity.pem beside it) and with those that it vouches for.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/secret.h"

namespace leat::agent {

struct JoinedRelay {
  std::string relay;  // HOST:PORT
  std::string pin;    // "sha256:…" or empty
  std::string name;   // what the relay calls the credential
  Secret credential;
};

Result<void> save_joined(const std::string& state_dir, const JoinedRelay& joined);
// nullopt: there is no such file. LEAT_NO_TOKEN if it cannot be used.
Result<std::optional<JoinedRelay>> load_joined(const std::string& state_dir);

}  // namespace leat::agent
