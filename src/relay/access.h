// Whom a tunnel takes: its agent's policy, applied to the head that was routed (threat 16). Says no
// more than one bit to strangers: whoever has no credential and whoever has a wrong one are
// answered alike.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/claims.h"
#include "auth/keys.h"
#include "base/cidr.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/time.h"
#include "control/policy.h"
#include "http/head.h"

namespace leat::relay {

// How often an address has shown something wrong at some door: ten times at once, then every six
// seconds. An IPv6 address counts with its /64, which one customer has.
class Tries {
 public:
  // `door`: text without control characters.
  bool allows(std::string_view door, std::string_view address, Time now) const;
  void failed(std::string_view door, std::string_view address, Time now);

 private:
  static constexpr Duration kPeriod = std::chrono::seconds(6);
  static constexpr int kBurst = 10;
  static constexpr std::size_t kAddresses = 4096;  // at all doors, remembered at once

  mutable std::mutex mutex_;
  // When all failures of an address at a door are forgotten.
  absl::flat_hash_map<std::string, Time> settled_;
};

class Access {
 public:
  // LEAT_BAD_POLICY, in words for the agent.
  static Result<std::shared_ptr<const Access>> make(const control::VisitorPolicy& policy);

  // What let a visitor in, so that it can be asked later whether it still would.
  struct Grant {
    std::string tunnel;  // set before: what is tried at one shuts nobody out of another
    std::string address = {};
    std::optional<Sha256> hash = {};  // of the token, or of USER:PASSWORD
    Secret jwt = {};
    std::optional<std::chrono::seconds> until = {};  // since 1970: when that ends
    std::string name = {};                           // for logs
    Secret subprotocol = {};  // that carried the credential: to be answered if nobody else does
  };
  // nullopt where it is let in. Takes the visitor's credential out of `request` and of `target`,
  // what the service will see. VISITOR_REFUSED, ADDRESS_REFUSED, TOO_MANY_TRIES: passwords, which
  // can be guessed, are then not looked at; a right token is let in all the same.
  std::optional<Code> admit(http::Request& request, std::string& target, std::string_view address,
                            Tries& tries, Time now, Grant& grant) const;
  bool allows(std::string_view address) const;
  bool asks() const { return policy_.asks(); }  // for a credential
  // May cost a signature where a JWT let it in.
  bool still_grants(const Grant& grant) const;
  // Fields of a 401, each line ending in CRLF.
  std::string challenge() const;

 private:
  bool check(std::string_view scheme, std::string_view credential, Grant& grant) const;
  bool check_bearer(std::string_view token, Grant& grant) const;

  std::vector<Cidr> allow_;
  control::VisitorPolicy policy_;
  std::optional<auth::KeySet> keys_;
  // JWTs that were good, by their hash: who comes again costs no signature. Used by one thread.
  static constexpr std::size_t kVerified = 32;
  struct Verified {
    std::chrono::seconds until;
    std::string name;
  };
  mutable absl::flat_hash_map<Sha256, Verified> verified_;
};

}  // namespace leat::relay
