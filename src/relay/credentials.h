// Who an agent is, decided from what its Hello carries: a token, a JWT, a join code. Fails closed:
// what cannot be checked is refused.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/claims.h"
#include "auth/keys.h"
#include "base/error.h"
#include "base/secret.h"
#include "control/server.h"
#include "relay/options.h"
#include "store/store.h"

namespace leat::relay {

struct Admission {
  store::TokenInfo owner;
  Secret issued;                       // for a join code: what it became
  std::optional<auth::Claims> claims;  // of a JWT

  bool allows(std::string_view tunnel) const { return !claims || claims->allows(tunnel); }
};

class Credentials {
 public:
  Credentials(store::Store& store, const Options& options);

  // What the file of keys has now, for take(), here and on other shards; nullptr: there is none.
  Result<std::shared_ptr<const auth::KeySet>> load() const;
  // Keys may be used by several threads.
  std::shared_ptr<const auth::KeySet> keys() const { return keys_; }
  void take(std::shared_ptr<const auth::KeySet> keys) { keys_ = std::move(keys); }
  void announce() const;  // in the log: which they are
  // STORE, NO_TOKEN, BAD_TOKEN, BAD_JWT, JWT_EXPIRED, BAD_CODE, WRONG_IDENTITY, REVOKED. The
  // detail is for the agent, which holds the credential.
  Result<Admission> admit(const control::HelloInfo& hello);
  // The key that verified a JWT is one of ours still.
  bool knows(const auth::Claims& claims) const;
  // For how long a JWT's session may go on, by the wall clock of now.
  std::chrono::seconds left(const auth::Claims& claims) const;

 private:
  Result<Admission> by_token(const control::HelloInfo& hello);
  Result<Admission> by_jwt(const control::HelloInfo& hello);
  Result<Admission> by_code(const control::HelloInfo& hello);

  store::Store& store_;
  const std::string key_file_;
  const auth::Expectations expected_;
  std::shared_ptr<const auth::KeySet> keys_;  // nullptr: no JWT is taken
};

}  // namespace leat::relay
