#include "base/one_time_code.h"

#include <string>

namespace leat {

Secret OneTimeCode::make_secret() {
  std::string raw(kSecretSize, '\0');
  random_bytes({reinterpret_cast<std::uint8_t*>(raw.data()), raw.size()});
  return Secret(std::move(raw));
}

OneTimeCode::State OneTimeCode::state(std::int64_t now) const {
  if (used) return State::used;
  return now >= ends || tries >= kTries ? State::over : State::good;
}

OneTimeCode::State OneTimeCode::use(std::int64_t now) {
  const State before = state(now);
  if (before == State::good) {
    used = true;
    hash = {};
  }
  return before;
}

bool OneTimeCode::redeem(const Sha256& brought, std::int64_t now) {
  if (state(now) != State::good) return false;
  if (constant_time_equal(hash, brought)) return use(now) == State::good;
  fail();
  return false;
}

}  // namespace leat
