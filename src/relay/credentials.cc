#include "relay/credentials.h"

#include <utility>

#include "base/log.h"

namespace leat::relay {
namespace {

std::chrono::seconds wall_clock() {
  return std::chrono::floor<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

tl::unexpected<Error> unchecked(const Error& why) {
  log::write(log::Level::error, "credential not checked", why);
  return fail(Code::STORE, "the credential could not be checked");
}

}  // namespace

Credentials::Credentials(store::Store& store, const Options& options)
    : store_(store),
      key_file_(options.jwt_keys),
      expected_{.audience = options.jwt_audience, .issuer = options.jwt_issuer} {}

Result<std::shared_ptr<const auth::KeySet>> Credentials::load() const {
  if (key_file_.empty()) return nullptr;
  auto keys = auth::KeySet::load(key_file_);
  if (!keys) return tl::unexpected(keys.error());
  return std::make_shared<const auth::KeySet>(std::move(*keys));
}

void Credentials::announce() const {
  if (!keys_) return;
  std::string about;  // "ES256 of 2026-11, HS256"
  for (const auth::Key& key : keys_->keys()) {
    about.append(about.empty() ? "" : ", ").append(auth::name(key.algorithm()));
    if (!key.id().empty()) about.append(" of ").append(key.id());
  }
  log::info("jwt keys", {{"file", key_file_}, {"keys", keys_->keys().size()}, {"are", about}});
}

bool Credentials::knows(const auth::Claims& claims) const {
  return keys_ && keys_->has(claims.key);
}

std::chrono::seconds Credentials::left(const auth::Claims& claims) const {
  return claims.expires + expected_.leeway - wall_clock();
}

Result<Admission> Credentials::admit(const control::HelloInfo& hello) {
  switch (hello.kind) {
    case control::HelloInfo::Credential::none:
      break;
    case control::HelloInfo::Credential::token:
      return by_token(hello);
    case control::HelloInfo::Credential::jwt:
      return by_jwt(hello);
    case control::HelloInfo::Credential::join_code:
      return by_code(hello);
  }
  return fail(Code::NO_TOKEN);
}

Result<Admission> Credentials::by_token(const control::HelloInfo& hello) {
  auto token = store_.verify(hello.credential);
  if (!token) return unchecked(token.error());
  if (!*token) return fail(Code::BAD_TOKEN);
  const auto& bound = (*token)->identity;
  if (bound && *bound != hello.identity && bound != hello.delegate) {
    return fail(Code::WRONG_IDENTITY);
  }
  return Admission{std::move(**token), {}, {}};
}

Result<Admission> Credentials::by_jwt(const control::HelloInfo& hello) {
  if (!keys_) return fail(Code::BAD_JWT, "this relay has no keys for JSON web tokens");
  const auto claims = auth::verify_jwt(hello.credential.reveal(), *keys_, expected_, wall_clock());
  if (!claims) {
    const bool expired = claims.error() == auth::Fault::expired;
    return fail(expired ? Code::JWT_EXPIRED : Code::BAD_JWT,
                std::string(auth::describe(claims.error())));
  }
  auto owner = store_.subject(claims->subject, claims->plan);
  if (!owner && owner.error().code == Code::REVOKED) return tl::unexpected(owner.error());
  if (!owner) return unchecked(owner.error());
  return Admission{std::move(*owner), {}, *claims};
}

Result<Admission> Credentials::by_code(const control::HelloInfo& hello) {
  auto joined = store_.redeem(hello.credential, "agent", hello.identity);
  if (!joined) return unchecked(joined.error());
  if (!*joined) return fail(Code::BAD_CODE);
  return Admission{std::move((*joined)->token), std::move((*joined)->credential), {}};
}

}  // namespace leat::relay
