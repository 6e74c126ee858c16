#include "relay/access.h"

#include <algorithm>
#include <utility>

#include "base/crypto_util.h"
#include "base/network.h"
#include "http/chars.h"

namespace leat::relay {
namespace {

constexpr char kOwnField[] = "Leat-Authorization";
constexpr std::string_view kQuery = "leat_token";
constexpr std::string_view kSubprotocol = "leat.token.";

// What a visitor shows, and nothing of which is left in the request afterwards.
struct Shown {
  std::string scheme;  // "bearer", "basic"; empty: nothing, or nothing that can be right
  Secret credential;
  Secret subprotocol;
};

// "Bearer TOKEN" (RFC 9110 §11.6.2): one space, no list.
void read_field(std::string_view value, Shown& out) {
  const std::size_t space = value.find(' ');
  if (space == value.npos) return;
  out.scheme = value.substr(0, space);
  for (char& c : out.scheme) c = http::to_lower(c);
  out.credential = Secret(std::string(http::trim(value.substr(space + 1))));
}

// Removes leat_token=… from the query; its value.
std::optional<std::string> take_query(std::string& target) {
  const std::size_t question = target.find('?');
  if (question == target.npos) return std::nullopt;
  std::optional<std::string> found;
  std::string rest;
  std::string_view query = std::string_view(target).substr(question + 1);
  while (true) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    if (part.starts_with(kQuery) && part.substr(kQuery.size()).starts_with('=')) {
      // Given twice, it is nobody's.
      found = found ? std::string() : std::string(part.substr(kQuery.size() + 1));
    } else {
      if (!rest.empty()) rest += '&';
      rest += part;
    }
    if (end == query.size()) break;
    query.remove_prefix(end + 1);
  }
  if (!found) return std::nullopt;
  target.resize(question);
  if (!rest.empty()) target.append("?").append(rest);
  return found;
}

// Removes leat.token.… from the subprotocols that are offered; its value.
std::optional<std::string> take_subprotocol(http::Fields& fields) {
  std::optional<std::string> found;
  std::string rest;
  for (const http::Field& field : fields.all()) {
    if (!http::iequal(field.name, "Sec-WebSocket-Protocol")) continue;
    std::string_view list = field.value;
    while (!list.empty()) {
      const std::size_t end = std::min(list.find(','), list.size());
      const std::string_view part = http::trim(list.substr(0, end));
      list.remove_prefix(std::min(end + 1, list.size()));
      if (part.starts_with(kSubprotocol)) {
        found = found ? std::string() : std::string(part.substr(kSubprotocol.size()));
      } else if (!part.empty()) {
        rest.append(rest.empty() ? "" : ", ").append(part);
      }
    }
  }
  if (!found) return std::nullopt;
  fields.remove("Sec-WebSocket-Protocol");
  if (!rest.empty()) fields.add("Sec-WebSocket-Protocol", rest);
  return found;
}

// One place is read, in this order; every place that is ours is emptied. Authorization is ours
// only where nothing else was shown: the service may have a use for it.
Shown take(http::Request& request, std::string& target) {
  Shown out;
  const bool own = request.fields.count(kOwnField) > 0;
  if (request.fields.count(kOwnField) == 1) read_field(*request.fields.find(kOwnField), out);
  request.fields.remove(kOwnField);
  const auto subprotocol = request.upgrade ? take_subprotocol(request.fields) : std::nullopt;
  const auto query = request.upgrade ? take_query(target) : std::nullopt;
  if (own) return out;
  if (subprotocol || query) {
    out.scheme = "bearer";
    out.credential = Secret(subprotocol ? *subprotocol : *query);
    if (subprotocol) out.subprotocol = Secret(std::string(kSubprotocol).append(*subprotocol));
    return out;
  }
  if (request.fields.count("Authorization") == 1) {
    read_field(*request.fields.find("Authorization"), out);
  }
  request.fields.remove("Authorization");
  return out;
}

// base64 with padding, of RFC 7617; tolerant of nothing.
std::optional<std::string> unbase64(std::string_view text) {
  std::string url(text);
  while (url.ends_with('=')) url.pop_back();
  for (char& c : url) {
    if (c == '-' || c == '_') return std::nullopt;
    c = c == '+' ? '-' : c == '/' ? '_' : c;
  }
  return unbase64url(url);
}

// Every entry is looked at: how long it takes does not tell which one it was.
const control::VisitorPolicy::Named* find(const std::vector<control::VisitorPolicy::Named>& list,
                                          const Sha256& hash) {
  const control::VisitorPolicy::Named* found = nullptr;
  for (const auto& each : list) {
    if (constant_time_equal(each.hash, hash)) found = &each;
  }
  return found;
}

}  // namespace

// --- tries ---

namespace {

std::string counted(std::string_view door, std::string_view address) {
  return std::string(door).append(1, '\n').append(customer_of(address));
}

}  // namespace

bool Tries::allows(std::string_view door, std::string_view address, Time now) const {
  const std::lock_guard lock(mutex_);
  const auto found = settled_.find(counted(door, address));
  return found == settled_.end() || found->second - now <= kPeriod * (kBurst - 1);
}

void Tries::failed(std::string_view door, std::string_view address, Time now) {
  const std::lock_guard lock(mutex_);
  if (settled_.size() >= kAddresses) {
    absl::erase_if(settled_, [&](const auto& entry) { return entry.second <= now; });
    if (settled_.size() >= kAddresses) settled_.erase(settled_.begin());
  }
  Time& settled = settled_[counted(door, address)];
  settled = std::max(settled, now) + kPeriod;
}

// --- access ---

Result<std::shared_ptr<const Access>> Access::make(const control::VisitorPolicy& policy) {
  auto access = std::make_shared<Access>();
  access->policy_ = policy;
  for (const std::string& text : policy.allow) {
    const auto network = Cidr::parse(text);
    if (!network) return fail(Code::BAD_POLICY, network.error().detail);
    access->allow_.push_back(*network);
  }
  if (!policy.jwt_keys.empty()) {
    auto keys = auth::KeySet::parse(policy.jwt_keys.reveal(), auth::kGuestKeys);
    if (!keys) return fail(Code::BAD_POLICY, "keys: " + keys.error().detail);
    access->keys_ = std::move(*keys);
  }
  return std::shared_ptr<const Access>(std::move(access));
}

bool Access::allows(std::string_view address) const {
  return allow_.empty() || contains(allow_, address);
}

std::optional<Code> Access::admit(http::Request& request, std::string& target,
                                  std::string_view address, Tries& tries, Time now,
                                  Grant& grant) const {
  if (!allows(address)) return Code::ADDRESS_REFUSED;
  grant.address = address;
  if (!policy_.asks()) return std::nullopt;
  Shown shown = take(request, target);
  // Apart, for a page can make its visitor's browser show wrong tokens, as many as it likes.
  const bool password = shown.scheme == "basic";
  const std::string door = (password ? "basic " : "bearer ") + grant.tunnel;
  const bool may_try = tries.allows(door, address, now);
  if (password && !may_try) return Code::TOO_MANY_TRIES;
  if (!shown.scheme.empty() && check(shown.scheme, shown.credential.reveal(), grant)) {
    grant.subprotocol = std::move(shown.subprotocol);
    return std::nullopt;
  }
  if (shown.credential.empty()) return Code::VISITOR_REFUSED;
  if (!may_try) return Code::TOO_MANY_TRIES;
  tries.failed(door, address, now);
  return Code::VISITOR_REFUSED;
}

bool Access::check(std::string_view scheme, std::string_view credential, Grant& grant) const {
  if (scheme == "bearer") return check_bearer(credential, grant);
  if (scheme != "basic") return false;
  const auto pair = unbase64(credential);
  if (!pair) return false;
  const Sha256 hash = sha256(as_bytes(*pair));
  const auto* const user = find(policy_.users, hash);
  if (user == nullptr) return false;
  grant.hash = hash;
  grant.name = user->name;
  return true;
}

bool Access::check_bearer(std::string_view token, Grant& grant) const {
  const Sha256 hash = sha256(as_bytes(token));
  if (const auto* const named = find(policy_.tokens, hash)) {
    grant.hash = hash;
    grant.name = named->name;
    return true;
  }
  if (!keys_) return false;
  const auto now =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  const auth::Expectations expected{.audience = policy_.jwt_audience, .issuer = policy_.jwt_issuer};
  auto known = verified_.find(hash);
  if (known == verified_.end() || known->second.until <= now) {
    const auto claims = auth::verify_jwt(token, *keys_, expected, now);
    if (!claims) return false;
    if (known == verified_.end() && verified_.size() >= kVerified) {
      verified_.erase(verified_.begin());
    }
    known = verified_
                .insert_or_assign(
                    hash, Verified{claims->expires + expected.leeway, "jwt:" + claims->subject})
                .first;
  }
  grant.until = known->second.until;
  grant.jwt = Secret(std::string(token));
  grant.name = known->second.name;
  return true;
}

bool Access::still_grants(const Grant& grant) const {
  if (!allows(grant.address)) return false;
  if (!policy_.asks()) return true;
  if (!grant.jwt.empty()) {
    Grant again;
    return check_bearer(grant.jwt.reveal(), again);
  }
  return grant.hash && (find(policy_.tokens, *grant.hash) != nullptr ||
                        find(policy_.users, *grant.hash) != nullptr);
}

std::string Access::challenge() const {
  std::string out;
  if (!policy_.tokens.empty() || keys_) out += "WWW-Authenticate: Bearer realm=\"leat\"\r\n";
  if (!policy_.users.empty()) {
    out += "WWW-Authenticate: Basic realm=\"leat\", charset=\"UTF-8\"\r\n";
  }
  return out;
}

}  // namespace leat::relay
