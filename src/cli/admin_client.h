// Asks a relay's admin API, as `leat status`, `token` and `usage` do: one request, one answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/error.h"
#include "base/secret.h"

namespace leat::cli {

struct AdminAccess {
  HostPort address;
  Secret key;
};
// Where the relay of that state directory listens for administrators (relay.json), and the key of
// the file. STATE_DIR: no relay has run there, or without --admin-listen; KEY_FILE.
Result<AdminAccess> admin_access(const std::string& state_dir, const std::string& key_file);

// The body of the answer; its error where it has one.
Result<std::string> ask_admin(const AdminAccess& access, const std::string& target,
                              const std::string& method = "GET");
// As a part of a path, or a value in a query.
std::string percent_encoded(std::string_view text);

}  // namespace leat::cli
