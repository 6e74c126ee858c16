#include "store/store.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "base/crypto_util.h"
#include "base/file.h"
#include "base/limits.h"
#include "store/schema.h"
#include "store/sqlite.h"
#include "store/sqlite_store.h"

namespace leat::store {
namespace {

constexpr std::int64_t kTouchInterval = 60;  // seconds between two notes of a token's use
constexpr std::size_t kTokenName = 64;

}  // namespace

bool valid_token_name(std::string_view name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
  return !name.empty() && name.size() <= kTokenName &&
         name.find_first_not_of(kAllowed) == name.npos;
}

std::int64_t now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())
      .time_since_epoch()
      .count();
}

TokenInfo token_info(const Query& row) {
  const auto instant = [](std::int64_t seconds) {
    return std::chrono::sys_seconds(std::chrono::seconds(seconds));
  };
  TokenInfo token;
  token.id = row.integer(0);
  token.name = row.text(1);
  token.created = instant(row.integer(2));
  if (const auto used = row.optional_integer(3)) token.last_used = instant(*used);
  if (const auto revoked = row.optional_integer(4)) token.revoked = instant(*revoked);
  const std::string kind = row.text(5), identity = row.blob(7);
  token.kind = kind == "jwt"     ? TokenInfo::Kind::jwt
               : kind == "agent" ? TokenInfo::Kind::agent
               : kind == "app"   ? TokenInfo::Kind::app
                                 : TokenInfo::Kind::token;
  token.plan = row.text(6);
  if (identity.size() == std::tuple_size_v<PublicKey>) {
    std::copy(identity.begin(), identity.end(), token.identity.emplace().begin());
  }
  return token;
}

Secret make_token() {
  std::array<std::uint8_t, 32> raw;
  random_bytes(raw);
  return Secret("leat_" + base64url(raw));
}

Result<void> SqliteStore::prepare() {
  const struct {
    Statement& statement;
    const char* sql;
  } kAll[] = {
      {create_token_,
       "INSERT INTO token (name, hash, created, kind, plan, identity)"
       " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING"},
      {list_tokens_, "SELECT " LEAT_TOKEN_COLUMNS " FROM token WHERE id > ?1 ORDER BY id LIMIT ?2"},
      {revoke_token_, "UPDATE token SET revoked = ?2 WHERE name = ?1 AND revoked IS NULL"},
      {find_token_, "SELECT " LEAT_TOKEN_COLUMNS " FROM token WHERE hash = ?1 AND revoked IS NULL"},
      {touch_token_, "UPDATE token SET last_used = ?2 WHERE id = ?1"},
      {token_live_, "SELECT 1 FROM token WHERE id = ?1 AND revoked IS NULL"},
      {find_claim_, "SELECT 1 FROM tunnel WHERE id = ?1 AND token = ?2 AND identity = ?3"},
      {count_, "SELECT count(*) FROM tunnel WHERE token = ?1"},
      {find_own_, "SELECT 1 FROM tunnel WHERE id = ?1 AND token = ?2"},
      {find_owned_, "SELECT 1 FROM tunnel WHERE id = ?1"},
      {claim_,
       "INSERT INTO tunnel (id, token, identity, generated, created) VALUES (?1, ?2, ?3, ?4, ?5)"
       " ON CONFLICT (id) DO UPDATE SET token = ?2, identity = ?3"
       " WHERE token = ?2 OR EXISTS (SELECT 1 FROM token AS owner WHERE owner.id = tunnel.token"
       "  AND revoked IS NOT NULL AND"
       "  (tunnel.identity = ?3 OR name = (SELECT name FROM token WHERE id = ?2)))"},
      {find_generated_,
       "SELECT 1 FROM tunnel JOIN token AS owner ON owner.id = tunnel.token"
       " WHERE tunnel.id = ?1 AND generated AND (owner.id = ?2 OR revoked IS NOT NULL)"},
      {release_, "DELETE FROM tunnel WHERE id = ?1"},
      {data_version_, "PRAGMA data_version"},
      {add_code_,
       "INSERT INTO code (id, hash, purpose, name, plan, created, expires)"
       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
      {forget_codes_, "DELETE FROM code WHERE expires <= ?1"},
      {find_code_,
       "SELECT hash, expires, tries, used, name, plan FROM code WHERE id = ?1 AND purpose = ?2"},
      {fail_code_, "UPDATE code SET tries = ?2 WHERE id = ?1"},
      {use_code_, "UPDATE code SET hash = ?2, used = ?3 WHERE id = ?1"},
      {drop_code_, "DELETE FROM code WHERE id = ?1"},
      {find_name_,
       "SELECT " LEAT_TOKEN_COLUMNS " FROM token WHERE name = ?1 ORDER BY id DESC LIMIT 1"},
      {find_usage_,
       "SELECT bytes_in, bytes_out, requests FROM usage WHERE owner = ?1 AND period = ?2"},
      {list_usage_,
       "SELECT owner, period, bytes_in, bytes_out, requests FROM usage"
       " WHERE (?1 = '' OR owner = ?1) AND period >= ?2 ORDER BY period DESC, owner LIMIT ?3"},
      {forget_usage_, "DELETE FROM usage WHERE length(period) = 10 AND period < ?1"},
      {add_usage_,
       "INSERT INTO usage (owner, period, bytes_in, bytes_out, requests)"
       " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (owner, period) DO UPDATE SET"
       " bytes_in = bytes_in + ?3, bytes_out = bytes_out + ?4, requests = requests + ?5"},
      {find_bucket_, "SELECT settled FROM bucket WHERE owner = ?1"},
      {put_bucket_,
       "INSERT INTO bucket (owner, settled) VALUES (?1, ?2)"
       " ON CONFLICT (owner) DO UPDATE SET settled = ?2"},
      {put_plan_, "UPDATE token SET plan = ?2 WHERE id = ?1"},
      {set_plan_,
       "UPDATE token SET plan = ?2 WHERE name = ?1 AND revoked IS NULL AND kind <> 'jwt'"},
      {allow_, "UPDATE token SET revoked = NULL WHERE name = ?1 AND kind = 'jwt'"},
  };
  for (const auto& each : kAll) {
    auto prepared = database_.prepare(each.sql);
    if (!prepared) return tl::unexpected(prepared.error());
    each.statement = std::move(*prepared);
  }
  changed();  // from here on
  return {};
}

// --- tokens ---

Result<Secret> SqliteStore::create_token(std::string_view name, std::string_view plan) {
  return create(name, "token", plan);
}

Result<Secret> SqliteStore::create(std::string_view name, std::string_view kind,
                                   std::string_view plan) {
  if (!valid_token_name(name)) {
    return fail(Code::USAGE, std::string(kTokenNameRule));
  }
  const Secret token = make_token();
  const Durably durably(database_);
  const auto added = add(name, hash_of(token), kind, plan, {});
  if (!added) return tl::unexpected(added.error());
  if (!*added) return fail(Code::TOKEN_EXISTS, std::string(name));
  return token;
}

// False: a credential of that name is in force.
Result<bool> SqliteStore::add(std::string_view name, const Sha256& hash, std::string_view kind,
                              std::string_view plan, Bytes identity) {
  Query query(database_, create_token_, name, hash, now(), kind, plan, identity);
  if (const auto done = query.run(); !done) return tl::unexpected(done.error());
  return database_.rows_changed() != 0;
}

Result<std::vector<TokenInfo>> SqliteStore::tokens(std::int64_t after, std::int64_t limit) {
  std::vector<TokenInfo> all;
  Query query(database_, list_tokens_, after, limit);
  auto row = query.step();
  for (; row && *row; row = query.step()) all.push_back(token_info(query));
  if (!row) return tl::unexpected(row.error());
  return all;
}

Result<void> SqliteStore::revoke_token(std::string_view name) {
  const Durably durably(database_);
  Query query(database_, revoke_token_, name, now());
  if (const auto done = query.run(); !done) return done;
  if (database_.rows_changed() == 0) return fail(Code::NO_SUCH_TOKEN, std::string(name));
  changed_here_ = true;
  return {};
}

// The index is searched with the hash of what was offered. How long that takes may tell how far two
// hashes agree, but nobody can choose a text by its hash, and the text has 256 random bits.
Result<std::optional<TokenInfo>> SqliteStore::verify(const Secret& token) {
  std::optional<TokenInfo> found;
  {
    Query query(database_, find_token_, hash_of(token));
    const auto row = query.step();
    if (!row) return tl::unexpected(row.error());
    if (*row) found = token_info(query);
  }
  if (found) touch(*found);
  return found;
}

// Not worth a refusal when the disk is full, nor a wait when another process writes.
void SqliteStore::touch(const TokenInfo& token) {
  const std::int64_t time = now();
  if (token.last_used &&
      std::abs(time - token.last_used->time_since_epoch().count()) < kTouchInterval) {
    return;
  }
  database_.set_patience({});
  (void)Query(database_, touch_token_, token.id, time).run();
  database_.set_patience(patience_);
}

Result<bool> SqliteStore::is_live(std::int64_t token) {
  return Query(database_, token_live_, token).step();
}

// --- tunnels ---

std::vector<Result<void>> SqliteStore::claim(const std::vector<Claim>& claims, std::int64_t token,
                                             const PublicKey& identity) {
  // The usual case, an agent that comes back, writes nothing: it works with a full disk too.
  std::vector<Result<void>> results(claims.size());
  std::vector<std::size_t> unwritten;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const auto same = owns(claims[i].tunnel, token, identity);
    if (!same) {
      results[i] = tl::unexpected(same.error());
    } else if (!*same) {
      unwritten.push_back(i);
    }
  }
  if (unwritten.empty()) return results;

  const Durably durably(database_);
  Result<void> done = database_.run("BEGIN IMMEDIATE");
  Result<std::int64_t> owned = 0;
  if (done) owned = number_owned(token);
  if (!owned) done = tl::unexpected(owned.error());
  for (auto at = unwritten.begin(); done && at != unwritten.end(); ++at) {
    results[*at] = write(claims[*at], token, identity, *owned);
    if (!results[*at] && results[*at].error().code == Code::STORE) done = results[*at];
  }
  if (done) done = database_.run("COMMIT");
  if (!done) {
    (void)database_.run("ROLLBACK");
    for (const std::size_t i : unwritten) results[i] = done;
  }
  return results;
}

Result<std::int64_t> SqliteStore::number_owned(std::int64_t token) {
  Query query(database_, count_, token);
  const auto row = query.step();
  if (!row) return tl::unexpected(row.error());
  return query.integer(0);
}

// `owned`: how many ids the token has, this one included once it is written.
Result<void> SqliteStore::write(const Claim& claim, std::int64_t token, const PublicKey& identity,
                                std::int64_t& owned) {
  const Result<bool> own = Query(database_, find_own_, claim.tunnel, token).step();
  if (!own) return tl::unexpected(own.error());
  if (!*own && owned >= static_cast<std::int64_t>(limits::kTokenTunnels)) {
    return fail(Code::TUNNEL_LIMIT);
  }
  Query query(database_, claim_, claim.tunnel, token, identity, std::int64_t{claim.generated},
              now());
  if (const auto done = query.run(); !done) return done;
  if (database_.rows_changed() == 0) return fail(Code::TUNNEL_TAKEN, claim.tunnel);
  if (!*own) ++owned;
  return {};
}

Result<bool> SqliteStore::owns(std::string_view tunnel, std::int64_t token,
                               const PublicKey& identity) {
  return Query(database_, find_claim_, tunnel, token, identity).step();
}

Result<bool> SqliteStore::is_owned(std::string_view tunnel) {
  return Query(database_, find_owned_, tunnel).step();
}

Result<bool> SqliteStore::is_generated(std::string_view tunnel, std::int64_t token) {
  return Query(database_, find_generated_, tunnel, token).step();
}

Result<bool> SqliteStore::release(std::string_view tunnel) {
  const Durably durably(database_);
  Query query(database_, release_, tunnel);
  if (const auto done = query.run(); !done) return tl::unexpected(done.error());
  return database_.rows_changed() != 0;
}

// --- other threads and processes ---

Result<void> SqliteStore::checkpoint_aside() {
  auto started = Checkpointer::start(path_, database_);
  if (!started) return tl::unexpected(started.error());
  checkpointer_ = std::move(*started);
  return {};
}

bool SqliteStore::changed() {
  Query query(database_, data_version_);
  const auto row = query.step();
  if (!row || !*row) return true;  // not known: let the caller look
  const bool elsewhere = std::exchange(seen_version_, query.integer(0)) != query.integer(0);
  return std::exchange(changed_here_, false) || elsewhere;
}

// --- opening ---

namespace {

Result<Database> open_database(const std::string& path, std::chrono::milliseconds patience) {
  auto database = Database::open(path);
  if (!database) return database;
  database->set_patience(patience);
  const auto set = database->run(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
      "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON");
  if (!set) return tl::unexpected(set.error());
  if (const auto migrated = migrate(*database, path); !migrated) {
    return tl::unexpected(migrated.error());
  }
  return database;
}

// A new database is finished under another name first: the change to WAL does not wait for others,
// so two that open an empty file at once would fail each other.
Result<void> make_database(const std::string& path, std::chrono::milliseconds patience) {
  const std::string name = path + "." + random_id() + ".tmp";
  if (const auto made = create_file(name, {}, 0600, Code::STORE); !made) {
    return tl::unexpected(made.error());
  }
  Result<void> done =
      open_database(name, patience).map([](const Database&) {});  // and closed: one file again
  if (done && ::link(name.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    done = fail(Code::STORE, path + ": " + std::generic_category().message(errno));
  }
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((name + suffix).c_str());
  return done;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& path,
                                           std::chrono::milliseconds patience) {
  if (::access(path.c_str(), F_OK) != 0) {
    if (const auto made = make_database(path, patience); !made) return tl::unexpected(made.error());
  }
  auto database = open_database(path, patience);
  if (!database) return tl::unexpected(database.error());
  auto store = std::make_unique<SqliteStore>(path, std::move(*database), patience);
  if (const auto prepared = store->prepare(); !prepared) return tl::unexpected(prepared.error());
  return store;
}

}  // namespace leat::store
