// Credentials that are not tokens from the start: codes that become one, and subjects of JWTs.
#include <algorithm>
#include <array>
#include <utility>

#include "base/names.h"
#include "base/one_time_code.h"
#include "store/sqlite_store.h"

namespace leat::store {
namespace {

constexpr std::size_t kCodeId = 5;      // bytes
constexpr std::size_t kNameBytes = 10;  // of a key: no other is found that begins so
static_assert(Store::kCodeTries == OneTimeCode::kTries);

std::string random_base32() {
  std::array<std::uint8_t, kCodeId> raw;
  random_bytes(raw);
  return base32(raw);
}

// The id points into `code`.
std::pair<std::string_view, Secret> parts_of(const Secret& code) {
  const std::string_view text = code.reveal();
  const std::size_t dash = std::min(text.find('-'), text.size());
  return {text.substr(0, dash), Secret(std::string(text.substr(std::min(dash + 1, text.size()))))};
}

// Of a row of find_code_.
OneTimeCode code_of(const Query& row) {
  OneTimeCode code;
  const std::string hash = row.blob(0);
  std::copy_n(hash.begin(), std::min(hash.size(), code.hash.size()), code.hash.begin());
  code.ends = row.integer(1);
  code.tries = static_cast<int>(row.integer(2));
  code.used = row.optional_integer(3).has_value();
  return code;
}

// The same for everybody who looks at the key.
std::string name_of(const PublicKey& identity) {
  return "agent-" + base32(Bytes(identity).first(kNameBytes));
}

}  // namespace

// --- codes ---

Result<Secret> SqliteStore::create_code(const Invitation& invitation) {
  if (!invitation.name.empty() && !valid_token_name(invitation.name)) {
    return fail(Code::USAGE, std::string(kTokenNameRule));
  }
  const std::string id = random_base32();
  const Secret secret(base32(as_bytes(OneTimeCode::make_secret().reveal())));
  const std::int64_t time = now();
  if (const auto done = Query(database_, forget_codes_, time).run(); !done) {
    return tl::unexpected(done.error());
  }
  Query query(database_, add_code_, id, hash_of(secret), invitation.purpose, invitation.name,
              invitation.plan, time, time + std::int64_t{invitation.life.count()});
  if (const auto done = query.run(); !done) return tl::unexpected(done.error());
  return Secret(id + "-" + std::string(secret.reveal()));
}

Result<std::optional<Joined>> SqliteStore::redeem(const Secret& code, std::string_view purpose,
                                                  const PublicKey& identity) {
  const Durably durably(database_);
  if (const auto begun = database_.run("BEGIN IMMEDIATE"); !begun) {
    return tl::unexpected(begun.error());
  }
  auto joined = redeem_in_transaction(code, purpose, identity);
  if (joined) {
    if (const auto done = database_.run("COMMIT"); !done) joined = tl::unexpected(done.error());
  }
  if (!joined) (void)database_.run("ROLLBACK");
  return joined;
}

Result<std::optional<Joined>> SqliteStore::redeem_in_transaction(const Secret& code,
                                                                 std::string_view purpose,
                                                                 const PublicKey& identity) {
  const auto [id, secret] = parts_of(code);
  OneTimeCode kept;
  std::string name, plan;
  {
    Query query(database_, find_code_, id, purpose);
    const auto row = query.step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return std::nullopt;
    kept = code_of(query);
    name = query.text(4);
    plan = query.text(5);
  }
  const bool good = kept.redeem(hash_of(secret), now());
  const auto written = good ? Query(database_, use_code_, id, kept.hash, now()).run()
                            : Query(database_, fail_code_, id, std::int64_t{kept.tries}).run();
  if (!written) return tl::unexpected(written.error());
  if (!good) return std::nullopt;
  return join(name.empty() ? name_of(identity) : name, plan, identity).map([](Joined joined) {
    return std::optional(std::move(joined));
  });
}

// The secret of one that was used is not known any more; that it was used is no secret.
Result<std::optional<CodeState>> SqliteStore::look_up_code(const Secret& code) {
  const auto [id, secret] = parts_of(code);
  OneTimeCode kept;
  {
    Query query(database_, find_code_, id, "agent");
    const auto row = query.step();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return std::nullopt;
    kept = code_of(query);
  }
  CodeState found;
  found.expires = std::chrono::sys_seconds(std::chrono::seconds(kept.ends));
  if (kept.state(now()) == OneTimeCode::State::over) return std::nullopt;
  if (kept.used) {
    found.state = CodeState::State::used;
    return found;
  }
  if (constant_time_equal(kept.hash, hash_of(secret))) return found;
  kept.fail();
  const auto counted = Query(database_, fail_code_, id, std::int64_t{kept.tries}).run();
  if (!counted) return tl::unexpected(counted.error());
  return std::nullopt;
}

Result<bool> SqliteStore::withdraw_code(const Secret& code) {
  const auto found = look_up_code(code);
  if (!found) return tl::unexpected(found.error());
  if (!*found || (*found)->state == CodeState::State::used) return false;
  const Durably durably(database_);
  const auto dropped = Query(database_, drop_code_, parts_of(code).first).run();
  if (!dropped) return tl::unexpected(dropped.error());
  return true;
}

Result<Joined> SqliteStore::join(std::string_view name, std::string_view plan,
                                 const PublicKey& identity) {
  std::string chosen(name);
  const auto before = find_name(chosen);
  if (!before) return tl::unexpected(before.error());
  if (*before && !(*before)->revoked) {
    if ((*before)->identity == identity) {
      const auto replaced = Query(database_, revoke_token_, chosen, now()).run();
      if (!replaced) return tl::unexpected(replaced.error());
      changed_here_ = true;
    } else {
      // Somebody else's, made since the code was: told apart by the key.
      chosen += "-" + random_base32();
    }
  }
  Secret credential = make_token();
  const auto added = add(chosen, hash_of(credential), "agent", plan, identity);
  if (!added) return tl::unexpected(added.error());
  if (!*added) return fail(Code::TOKEN_EXISTS, chosen);
  const auto made = find_name(chosen);
  if (!made) return tl::unexpected(made.error());
  return Joined{std::move(credential), made->value()};
}

// The one that is in force, else the one revoked last.
Result<std::optional<TokenInfo>> SqliteStore::find_name(std::string_view name) {
  Query query(database_, find_name_, name);
  const auto row = query.step();
  if (!row) return tl::unexpected(row.error());
  return *row ? std::optional(token_info(query)) : std::nullopt;
}

// --- apps ---

Result<Secret> SqliteStore::create_app(std::string_view name) { return create(name, "app", {}); }

Result<void> SqliteStore::forget_apps(std::chrono::sys_seconds before,
                                      const std::vector<std::int64_t>& in_use) {
  if (const auto begun = database_.run("BEGIN IMMEDIATE"); !begun) return begun;
  Result<void> done = forget_apps_in_transaction(before.time_since_epoch().count(), in_use);
  if (done) done = database_.run("COMMIT");
  if (!done) (void)database_.run("ROLLBACK");
  return done;
}

Result<void> SqliteStore::forget_apps_in_transaction(std::int64_t before,
                                                     const std::vector<std::int64_t>& in_use) {
#define LEAT_UNUSED_APPS \
  " FROM token WHERE kind = 'app' AND max(created, ifnull(last_used, 0)) < ?1"
  // A session may last for longer than a credential is remembered unused.
  auto touch = database_.prepare("UPDATE token SET last_used = ?2 WHERE id = ?1 AND kind = 'app'");
  if (!touch) return tl::unexpected(touch.error());
  for (const std::int64_t token : in_use) {
    if (const auto used = Query(database_, *touch, token, now()).run(); !used) return used;
  }
  for (const char* sql : {"DELETE FROM tunnel WHERE token IN (SELECT id" LEAT_UNUSED_APPS ")",
                          "DELETE FROM usage WHERE owner IN (SELECT name" LEAT_UNUSED_APPS ")",
                          // Its owner's name is the whole, or what follows the line's end.
                          "DELETE FROM bucket WHERE substr(owner, instr(owner, char(10)) + 1) IN"
                          " (SELECT name" LEAT_UNUSED_APPS ")",
                          "DELETE" LEAT_UNUSED_APPS}) {
    auto statement = database_.prepare(sql);
    if (!statement) return tl::unexpected(statement.error());
    if (const auto gone = Query(database_, *statement, before).run(); !gone) return gone;
  }
#undef LEAT_UNUSED_APPS
  return {};
}

// --- subjects ---

Result<TokenInfo> SqliteStore::subject(std::string_view subject, std::string_view plan) {
  const std::string name = "jwt:" + std::string(subject);
  auto known = find_name(name);
  if (!known) return tl::unexpected(known.error());
  if (!*known) {
    Sha256 nobodys;
    random_bytes(nobodys);
    const Durably durably(database_);
    const auto added = add(name, nobodys, "jwt", plan, {});
    if (!added) return tl::unexpected(added.error());
    known = find_name(name);
    if (!known) return tl::unexpected(known.error());
  }
  TokenInfo token = known->value();
  if (token.revoked) return fail(Code::REVOKED, name);
  touch(token);
  if (token.plan != plan) {  // what the token says now; the row is for those who look
    token.plan = plan;
    database_.set_patience({});
    (void)Query(database_, put_plan_, token.id, plan).run();
    database_.set_patience(patience_);
  }
  return token;
}

Result<void> SqliteStore::set_plan(std::string_view name, std::string_view plan) {
  const Durably durably(database_);
  if (const auto done = Query(database_, set_plan_, name, plan).run(); !done) return done;
  if (database_.rows_changed() == 0) return fail(Code::NO_SUCH_TOKEN, std::string(name));
  changed_here_ = true;
  return {};
}

Result<std::string> SqliteStore::plan_of(std::string_view name) {
  const auto known = find_name(name);
  if (!known) return tl::unexpected(known.error());
  if (!*known) return fail(Code::NO_SUCH_TOKEN, std::string(name));
  return (*known)->plan;
}

Result<void> SqliteStore::allow(std::string_view name) {
  const Durably durably(database_);
  if (const auto done = Query(database_, allow_, name).run(); !done) return done;
  if (database_.rows_changed() == 0) return fail(Code::NO_SUCH_TOKEN, std::string(name));
  return {};
}

}  // namespace leat::store
