// Whom a tunnel takes, as its agent says it: enforced by the relay, so that strangers never reach
// the agent. Credentials travel as hashes; what a visitor shows is seen by the relay anyway.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/crypto_util.h"
#include "base/error.h"
#include "base/secret.h"

namespace leat::proto {
class Bind;
}

namespace leat::control {

struct VisitorPolicy {
  // One of the credentials is asked for, where there are any …
  struct Named {
    std::string name;  // for logs; of `users` the user
    Sha256 hash{};     // of the token; of `users` of "USER:PASSWORD"
    friend bool operator==(const Named&, const Named&) = default;
  };
  std::vector<Named> tokens, users;
  Secret jwt_keys;  // the text of a file of keys, see auth/keys.h; empty: none
  std::string jwt_audience, jwt_issuer;
  // … and an address in one of these networks, where there are any.
  std::vector<std::string> allow;

  bool empty() const { return !asks() && allow.empty(); }
  bool asks() const { return !tokens.empty() || !users.empty() || !jwt_keys.empty(); }
  friend bool operator==(const VisitorPolicy&, const VisitorPolicy&) = default;
};

// Welcome.features names it where the relay enforces policies: an agent binds no tunnel that has
// one at a relay that would let everybody in.
inline constexpr std::string_view kPolicyFeature = "access";

void to_wire(const VisitorPolicy& policy, proto::Bind& bind);
// LEAT_BAD_POLICY: too many or too long, or a hash of the wrong size.
Result<VisitorPolicy> policy_from_wire(const proto::Bind& bind);

}  // namespace leat::control
