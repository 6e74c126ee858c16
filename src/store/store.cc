#include "store/store.h"

#include <unistd.h>

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

namespace leat::store {
namespace {

constexpr std::int64_t kTouchInterval = 60;  // seconds between two notes of a token's use
constexpr std::size_t kTokenName = 64;
constexpr std::size_t kTokenBytes = 32;

std::int64_t now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())
      .time_since_epoch()
      .count();
}

std::chrono::sys_seconds instant(std::int64_t seconds) {
  return std::chrono::sys_seconds(std::chrono::seconds(seconds));
}

bool valid_token_name(std::string_view name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
  return !name.empty() && name.size() <= kTokenName &&
         name.find_first_not_of(kAllowed) == name.npos;
}

// A power failure must take back no revocation and no ownership, so those commits wait for the
// disk; with NORMAL a WAL commit does not.
class Durably {
 public:
  explicit Durably(Database& database) : database_(database) {
    (void)database_.run("PRAGMA synchronous = FULL");
  }
  Durably(const Durably&) = delete;
  Durably& operator=(const Durably&) = delete;
  ~Durably() { (void)database_.run("PRAGMA synchronous = NORMAL"); }

 private:
  Database& database_;
};

TokenInfo token_info(const Query& row) {
  TokenInfo token;
  token.id = row.integer(0);
  token.name = row.text(1);
  token.created = instant(row.integer(2));
  if (const auto used = row.optional_integer(3)) token.last_used = instant(*used);
  if (const auto revoked = row.optional_integer(4)) token.revoked = instant(*revoked);
  return token;
}

Secret make_token() {
  std::array<std::uint8_t, kTokenBytes> raw;
  random_bytes(raw);
  return Secret("leat_" + base64url(raw));
}

Sha256 hash_of(const Secret& token) { return sha256(as_bytes(token.reveal())); }

class SqliteStore final : public Store {
 public:
  SqliteStore(Database database, std::chrono::milliseconds patience)
      : database_(std::move(database)), patience_(patience) {}
  Result<void> prepare();

  Result<Secret> create_token(std::string_view name) override;
  Result<std::vector<TokenInfo>> tokens() override;
  Result<void> revoke_token(std::string_view name) override;
  Result<std::optional<TokenInfo>> verify(const Secret& token) override;
  Result<bool> is_live(std::int64_t token) override;
  std::vector<Result<void>> claim(const std::vector<Claim>& claims, std::int64_t token,
                                  const PublicKey& identity) override;
  Result<bool> owns(std::string_view tunnel, std::int64_t token,
                    const PublicKey& identity) override;
  Result<bool> is_owned(std::string_view tunnel) override;
  Result<bool> is_generated(std::string_view tunnel, std::int64_t token) override;
  Result<bool> release(std::string_view tunnel) override;
  bool changed() override;

 private:
  void touch(const TokenInfo& token);
  Result<std::int64_t> number_owned(std::int64_t token);
  Result<void> write(const Claim& claim, std::int64_t token, const PublicKey& identity,
                     std::int64_t& owned);

  Database database_;
  const std::chrono::milliseconds patience_;
  // Finalised before the database is closed.
  Statement create_token_, list_tokens_, revoke_token_, find_token_, touch_token_, token_live_;
  Statement find_claim_, count_, find_own_, find_owned_, claim_, find_generated_, release_,
      data_version_;
  std::int64_t seen_version_ = 0;
  bool changed_here_ = false;  // the counter leaves out this connection's own commits
};

Result<void> SqliteStore::prepare() {
  const struct {
    Statement& statement;
    const char* sql;
  } kAll[] = {
      {create_token_,
       "INSERT INTO token (name, hash, created) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"},
      {list_tokens_, "SELECT id, name, created, last_used, revoked FROM token ORDER BY id"},
      {revoke_token_, "UPDATE token SET revoked = ?2 WHERE name = ?1 AND revoked IS NULL"},
      {find_token_,
       "SELECT id, name, created, last_used, revoked FROM token"
       " WHERE hash = ?1 AND revoked IS NULL"},
      {touch_token_, "UPDATE token SET last_used = ?2 WHERE id = ?1"},
      {token_live_, "SELECT 1 FROM token WHERE id = ?1 AND revoked IS NULL"},
      {find_claim_, "SELECT 1 FROM tunnel WHERE id = ?1 AND token = ?2 AND identity = ?3"},
      {count_, "SELECT count(*) FROM tunnel WHERE token = ?1"},
      {find_own_, "SELECT 1 FROM tunnel WHERE id = ?1 AND token = ?2"},
      {find_owned_, "SELECT 1 FROM tunnel WHERE id = ?1"},
      {claim_,
       "INSERT INTO tunnel (id, token, identity, generated, created) VALUES (?1, ?2, ?3, ?4, ?5)"
       " ON CONFLICT (id) DO UPDATE SET token = ?2, identity = ?3"
       " WHERE token = ?2 OR (identity = ?3 AND EXISTS"
       "  (SELECT 1 FROM token AS owner WHERE owner.id = tunnel.token AND revoked IS NOT NULL))"},
      {find_generated_,
       "SELECT 1 FROM tunnel JOIN token AS owner ON owner.id = tunnel.token"
       " WHERE tunnel.id = ?1 AND generated AND (owner.id = ?2 OR revoked IS NOT NULL)"},
      {release_, "DELETE FROM tunnel WHERE id = ?1"},
      {data_version_, "PRAGMA data_version"},
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

Result<Secret> SqliteStore::create_token(std::string_view name) {
  if (!valid_token_name(name)) {
    return fail(Code::USAGE,
                "expected a token name of 1 to 64 letters, digits and '.', '_', '@', '-'");
  }
  const Secret token = make_token();
  const Durably durably(database_);
  Query query(database_, create_token_, name, hash_of(token), now());
  if (const auto done = query.run(); !done) return tl::unexpected(done.error());
  if (database_.rows_changed() == 0) return fail(Code::TOKEN_EXISTS, std::string(name));
  return token;
}

Result<std::vector<TokenInfo>> SqliteStore::tokens() {
  std::vector<TokenInfo> all;
  Query query(database_, list_tokens_);
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

// --- other processes ---

bool SqliteStore::changed() {
  Query query(database_, data_version_);
  const auto row = query.step();
  if (!row || !*row) return true;  // not known: let the caller look
  const bool elsewhere = std::exchange(seen_version_, query.integer(0)) != query.integer(0);
  return std::exchange(changed_here_, false) || elsewhere;
}

// --- opening ---

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
  auto store = std::make_unique<SqliteStore>(std::move(*database), patience);
  if (const auto prepared = store->prepare(); !prepared) return tl::unexpected(prepared.error());
  return store;
}

}  // namespace leat::store
