// Who may use the admin API: whoever shows the key, or a browser that has shown it once and holds
// both halves of a session (docs/adr/0020): a cookie that no script can read, and a token that no
// other origin, port or tunnel of this host can have. Either half alone opens nothing, not even to
// read, because cookies do not know ports. Also how many apps one address may register.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto_util.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/time.h"
#include "http/head.h"
#include "relay/access.h"

namespace leat::relay {

inline constexpr char kAdminCookie[] = "leat_admin";

class AdminDoor {
 public:
  static constexpr std::chrono::hours kLife{12};
  static constexpr std::size_t kSessions = 16;

  struct Session {
    Secret cookie, token;
  };
  // Ends the oldest where there are too many.
  Session open(Time now);
  void close(const http::Request& request);
  // By which session a request came that was admitted; nullopt: by the key.
  static std::optional<Sha256> session_of(const http::Request& request);
  bool is_open(const Sha256& session, Time now) const;

  // Errors: ADMIN_KEY, ADMIN_FORGERY, TOO_MANY_TRIES. Wrong keys are counted by address; a session
  // that has ended is not, since it cannot be guessed.
  Result<void> admit(const http::Request& request, const Secret& key, std::string_view address,
                     Tries& tries, Time now);

 private:
  struct Kept {
    Sha256 cookie, token;
    Time until;
  };
  std::vector<Kept> sessions_;  // the oldest first
};

// So many an hour from an address (of IPv6 its /64), and from all together.
class HourlyLimit {
 public:
  HourlyLimit(std::size_t each, std::size_t all) : each_(each), all_(all) {}
  bool take(std::string_view address, Time now);

 private:
  struct Taken {
    std::string customer;
    Time when;
  };
  const std::size_t each_, all_;
  std::vector<Taken> taken_;  // of the last hour
};

}  // namespace leat::relay
