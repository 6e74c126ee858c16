#include "relay/admin_door.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/network.h"
#include "http/chars.h"

namespace leat::relay {
namespace {

Secret random_secret() {
  std::array<std::uint8_t, 32> raw;
  random_bytes(raw);
  return Secret(base64url(raw));
}

Sha256 hash_of(std::string_view text) { return sha256(as_bytes(text)); }

// What X-Admin-Key or Authorization says; unset where neither is there.
std::optional<std::string_view> shown_key(const http::Fields& fields) {
  if (const std::string* key = fields.find("X-Admin-Key")) {
    return fields.count("X-Admin-Key") == 1 ? std::string_view(*key) : std::string_view();
  }
  const std::string* field = fields.find("Authorization");
  if (field == nullptr) return std::nullopt;
  constexpr std::string_view kBearer = "Bearer ";
  if (fields.count("Authorization") != 1 ||
      !http::iequal(std::string_view(*field).substr(0, kBearer.size()), kBearer)) {
    return std::string_view();
  }
  return std::string_view(*field).substr(kBearer.size());
}

// RFC 6265 §5.4: pairs, with "; " between.
std::optional<std::string_view> cookie_of(const http::Fields& fields) {
  for (const http::Field& field : fields.all()) {
    if (!http::iequal(field.name, "Cookie")) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = http::trim(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const std::size_t equals = pair.find('=');
      if (equals != pair.npos && pair.substr(0, equals) == kAdminCookie) {
        return pair.substr(equals + 1);
      }
    }
  }
  return std::nullopt;
}

// A browser says where a request comes from: not from another site or port, if it says so.
bool from_elsewhere(const http::Fields& fields) {
  const std::string* site = fields.find("Sec-Fetch-Site");
  if (site != nullptr && *site != "same-origin") return true;
  const std::string* origin = fields.find("Origin");
  const std::string* host = fields.find("Host");
  if (origin == nullptr) return false;
  return host == nullptr || (*origin != "http://" + *host && *origin != "https://" + *host);
}

}  // namespace

AdminDoor::Session AdminDoor::open(Time now) {
  std::erase_if(sessions_, [&](const Kept& kept) { return kept.until <= now; });
  if (sessions_.size() >= kSessions) sessions_.erase(sessions_.begin());
  Session made{random_secret(), random_secret()};
  sessions_.push_back({hash_of(made.cookie.reveal()), hash_of(made.token.reveal()), now + kLife});
  return made;
}

void AdminDoor::close(const http::Request& request) {
  const auto cookie = cookie_of(request.fields);
  if (!cookie) return;
  const Sha256 hash = hash_of(*cookie);
  std::erase_if(sessions_,
                [&](const Kept& kept) { return constant_time_equal(kept.cookie, hash); });
}

std::optional<Sha256> AdminDoor::session_of(const http::Request& request) {
  if (shown_key(request.fields)) return std::nullopt;
  const auto cookie = cookie_of(request.fields);
  return cookie ? std::optional(hash_of(*cookie)) : std::nullopt;
}

bool AdminDoor::is_open(const Sha256& session, Time now) const {
  return std::ranges::any_of(sessions_, [&](const Kept& kept) {
    return kept.until > now && constant_time_equal(kept.cookie, session);
  });
}

Result<void> AdminDoor::admit(const http::Request& request, const Secret& key,
                              std::string_view address, Tries& tries, Time now) {
  if (const auto shown = shown_key(request.fields)) {
    // As hashes, so that the time does not tell how long the key is. The right one is let in,
    // whoever else has tried from there.
    if (constant_time_equal(hash_of(*shown), hash_of(key.reveal()))) return {};
    if (!tries.allows("admin", address, now)) return fail(Code::TOO_MANY_TRIES);
    tries.failed("admin", address, now);
    return fail(Code::ADMIN_KEY);
  }
  const auto cookie = cookie_of(request.fields);
  if (!cookie) return fail(Code::ADMIN_KEY);
  const Sha256 hash = hash_of(*cookie);
  for (const Kept& kept : sessions_) {
    if (kept.until <= now || !constant_time_equal(kept.cookie, hash)) continue;
    const std::string* token = request.fields.find("X-Csrf-Token");
    const bool same = token != nullptr && request.fields.count("X-Csrf-Token") == 1 &&
                      constant_time_equal(hash_of(*token), kept.token);
    if (!same || from_elsewhere(request.fields)) return fail(Code::ADMIN_FORGERY);
    return {};
  }
  return fail(Code::ADMIN_KEY);
}

bool HourlyLimit::take(std::string_view address, Time now) {
  std::erase_if(taken_, [&](const Taken& one) { return now - one.when >= std::chrono::hours(1); });
  std::string customer = customer_of(address);
  const auto same = [&](const Taken& one) { return one.customer == customer; };
  if (taken_.size() >= all_ ||
      static_cast<std::size_t>(std::ranges::count_if(taken_, same)) >= each_) {
    return false;
  }
  taken_.push_back({std::move(customer), now});
  return true;
}

}  // namespace leat::relay
