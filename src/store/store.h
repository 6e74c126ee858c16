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

// A credential, and the owner of what was made with it (docs/adr/0017).
struct TokenInfo {
  enum class Kind : std::uint8_t {
    token,
    agent,  // made for a join code
    jwt,    // stands for a subject, whatever its tokens
    app,    // registered by itself; goes when nobody uses it
  };

  std::int64_t id = 0;  // never 0, never used twice
  std::string name;     // of a subject: "jwt:" and what it is called
  Kind kind = Kind::token;
  std::string plan;                   // empty: the default
  std::optional<PublicKey> identity;  // good with this key only
  std::chrono::sys_seconds created;
  std::optional<std::chrono::sys_seconds> last_used;  // to the minute
  std::optional<std::chrono::sys_seconds> revoked;
};

// A code that may be exchanged once, soon, for a credential.
struct Invitation {
  std::string purpose = "agent";
  std::string name;  // of the credential; empty: made of the key that joins
  std::string plan;
  std::chrono::seconds life = std::chrono::minutes(15);
};

// What has become of a code that is still in force or was used.
struct CodeState {
  enum class State : std::uint8_t { waiting, used };
  State state = State::waiting;
  std::chrono::sys_seconds expires;
};

struct Joined {
  Secret credential;
  TokenInfo token;
};

struct Usage {
  std::uint64_t bytes_in = 0;   // from visitors
  std::uint64_t bytes_out = 0;  // to them
  std::uint64_t requests = 0;
};

struct UsageRow {
  std::string owner;   // TokenInfo::name
  std::string period;  // "2026-11-21" or "2026-11", UTC
  Usage usage;
};

// How far something of an owner's, requests by default, has run ahead of its pace: when it will
// have caught up, microseconds since 1970.
struct Bucket {
  std::string owner;  // or what of its, a line's end, and the owner
  std::int64_t settled = 0;
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
  // for another process's.
  static Result<std::unique_ptr<Store>> open(
      const std::string& path, std::chrono::milliseconds patience = std::chrono::milliseconds(500));
  // From now on. A relay's traffic waits with every write, and who is refused asks again.
  virtual void set_patience(std::chrono::milliseconds patience) = 0;
  // From now on a thread brings into the database what its log has gathered, so that of the writes
  // here only those wait for the disk that must not be lost: names, credentials, revocations.
  virtual Result<void> checkpoint_aside() = 0;
  virtual ~Store() = default;

  // "leat_" and 256 random bits in base64url; only their hash is kept, so this is the one time they
  // are seen. LEAT_TOKEN_EXISTS if a token of that name is in force; LEAT_USAGE if the name is not
  // 1 to 64 of a-z, A-Z, 0-9 and "._@-".
  virtual Result<Secret> create_token(std::string_view name, std::string_view plan) = 0;
  Result<Secret> create_token(std::string_view name) { return create_token(name, {}); }
  // The same for an app that asks for itself: with the default plan, and for as long as it is used.
  virtual Result<Secret> create_app(std::string_view name) = 0;
  // Apps that were last used, or made, before then go, and with them their names and accounts; not
  // those in `in_use`, ids of tokens.
  virtual Result<void> forget_apps(std::chrono::sys_seconds before,
                                   const std::vector<std::int64_t>& in_use) = 0;
  // Oldest first, revoked ones included; with ids above `after`, so many.
  virtual Result<std::vector<TokenInfo>> tokens(std::int64_t after, std::int64_t limit) = 0;
  Result<std::vector<TokenInfo>> tokens() { return tokens(0, INT64_MAX); }
  virtual Result<void> revoke_token(std::string_view name) = 0;  // LEAT_NO_SUCH_TOKEN

  // nullopt: no such token, or revoked. Notes the use where the database can be written.
  virtual Result<std::optional<TokenInfo>> verify(const Secret& token) = 0;
  virtual Result<bool> is_live(std::int64_t token) = 0;  // exists and is not revoked

  // "ID-SECRET" in lower-case base32, 40 and 128 random bits. LEAT_USAGE as create_token().
  virtual Result<Secret> create_code(const Invitation& invitation) = 0;
  // The credential for a code: single use, kCodeTries wrong secrets for each id. nullopt: there is
  // no such code for that purpose, or no longer. A credential that this identity joined for before
  // under the same name is replaced.
  static constexpr std::int64_t kCodeTries = 5;
  virtual Result<std::optional<Joined>> redeem(const Secret& code, std::string_view purpose,
                                               const PublicKey& identity) = 0;
  // The owner that a token's subject stands for; written down when it first comes. LEAT_REVOKED.
  virtual Result<TokenInfo> subject(std::string_view subject, std::string_view plan) = 0;
  // What the owner may use from now on. LEAT_NO_SUCH_TOKEN, also of subjects, whose tokens say it.
  virtual Result<void> set_plan(std::string_view name, std::string_view plan) = 0;
  // LEAT_NO_SUCH_TOKEN.
  virtual Result<std::string> plan_of(std::string_view name) = 0;
  // Takes back the revocation of a subject ("jwt:…"). LEAT_NO_SUCH_TOKEN.
  virtual Result<void> allow(std::string_view name) = 0;

  // Makes the token the owner of each tunnel id, for ever or until released; the answers are in the
  // order of the claims. LEAT_TUNNEL_TAKEN if another one owns it, LEAT_TUNNEL_LIMIT if the token
  // owns limits::kTokenTunnels others. When the owner's token was revoked, the agent that last
  // bound the id keeps it under its new token, and so does a new token of the same name; nobody
  // else gets it. What has to be written is written together, with one wait for the disk, and if
  // that fails none of it is.
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

  // What an owner has used in a period; nothing is a row of zeros.
  virtual Result<Usage> usage(std::string_view owner, std::string_view period) = 0;
  // Rows of one owner or (empty) of all, the latest period first, from `since` ("2026-11" or
  // "2026-11-21"; empty: all) on, kUsageRows at most.
  static constexpr std::int64_t kUsageRows = 20'000;
  virtual Result<std::vector<UsageRow>> usages(std::string_view owner,
                                               std::string_view since = {}) = 0;
  // Days before that one; months stay.
  virtual Result<void> forget_days(std::string_view before) = 0;
  virtual Result<std::int64_t> bucket(std::string_view owner) = 0;  // Bucket::settled; 0: none
  // Adds to the rows, replaces the buckets: all of it or nothing. Waits for nobody.
  virtual Result<void> settle(const std::vector<UsageRow>& added,
                              const std::vector<Bucket>& buckets) = 0;

  // True if a token may have been created or revoked, here or by another process, since the last
  // call. Reads one counter in shared memory: made to be polled.
  virtual bool changed() = 0;

  // nullopt: there is no such code, or it has run out; a wrong secret is a try, as of redeem().
  virtual Result<std::optional<CodeState>> look_up_code(const Secret& code) = 0;
  // False: as above. Nobody can use it any more.
  virtual Result<bool> withdraw_code(const Secret& code) = 0;
};

}  // namespace leat::store
