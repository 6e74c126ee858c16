// What a relay must remember: who may connect (tokens) and who owns which tunnel id. One interface,
// so that a directory shared by many relays can stand in for the file; the one here is an SQLite
// database that `leat token` may change while the relay runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "base/signature.h"

namespace leat::store {

struct TokenInfo {
  std::int64_t id = 0;  // never 0, never used twice
  std::string name;
  std::chrono::sys_seconds created;
  std::optional<std::chrono::sys_seconds> last_used;  // to the minute
  std::optional<std::chrono::sys_seconds> revoked;
};

struct Claim {
  std::string tunnel;
  bool generated = false;  // the relay made the id up
};

// For one thread. Every failure of the database is LEAT_STORE; a caller that decides on a
// credential refuses it then.
class Store {
 public:
  // Makes the file (mode 0600) if there is none, and brings an older one up to date. Refuses one
  // made by a newer version, and a database that is not leat's. `patience`: how long a write waits
  // for another process's; a relay's traffic waits with it.
  static Result<std::unique_ptr<Store>> open(
      const std::string& path, std::chrono::milliseconds patience = std::chrono::milliseconds(500));
  virtual ~Store() = default;

  // "leat_" and 256 random bits in base64url; only their hash is kept, so this is the one time they
  // are seen. LEAT_TOKEN_EXISTS if a token of that name is in force; LEAT_USAGE if the name is not
  // 1 to 64 of a-z, A-Z, 0-9 and "._@-".
  virtual Result<Secret> create_token(std::string_view name) = 0;
  virtual Result<std::vector<TokenInfo>> tokens() = 0;  // oldest first, revoked ones included
  virtual Result<void> revoke_token(std::string_view name) = 0;  // LEAT_NO_SUCH_TOKEN

  // nullopt: no such token, or revoked. Notes the use where the database can be written.
  virtual Result<std::optional<TokenInfo>> verify(const Secret& token) = 0;
  virtual Result<bool> is_live(std::int64_t token) = 0;  // exists and is not revoked

  // Makes the token the owner of each tunnel id, for ever or until released; the answers are in the
  // order of the claims. LEAT_TUNNEL_TAKEN if another one owns it, LEAT_TUNNEL_LIMIT if the token
  // owns limits::kTokenTunnels others. When the owner's token was revoked, the agent that last
  // bound the id keeps it under its new token; nobody else gets it. What has to be written is
  // written together, with one wait for the disk, and if that fails none of it is.
  virtual std::vector<Result<void>> claim(const std::vector<Claim>& claims, std::int64_t token,
                                          const PublicKey& identity) = 0;
  Result<void> claim(std::string_view tunnel, std::int64_t token, const PublicKey& identity,
                     bool generated) {
    return claim({Claim{std::string(tunnel), generated}}, token, identity).front();
  }
  // A claim of it would write nothing.
  virtual Result<bool> owns(std::string_view tunnel, std::int64_t token,
                            const PublicKey& identity) = 0;
  virtual Result<bool> is_owned(std::string_view tunnel) = 0;  // by any token
  // The relay once made this id up, for that token or for one that was revoked since.
  virtual Result<bool> is_generated(std::string_view tunnel, std::int64_t token) = 0;
  virtual Result<bool> release(std::string_view tunnel) = 0;  // false: nobody owned it

  // True if a token may have been created or revoked, here or by another process, since the last
  // call. Reads one counter in shared memory: made to be polled.
  virtual bool changed() = 0;
};

}  // namespace leat::store
