#include "store/schema.h"

#include <cstddef>
#include <iterator>
#include <string>

namespace leat::store {
namespace {

// Step n leads from version n to n + 1 (PRAGMA user_version). A step, once released, stays as it
// is. Times are seconds since 1970, UTC.
constexpr const char* kSteps[] = {
    R"(
    CREATE TABLE token (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      name TEXT NOT NULL,
      hash BLOB NOT NULL UNIQUE,
      created INTEGER NOT NULL,
      last_used INTEGER,
      revoked INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX token_in_force ON token (name) WHERE revoked IS NULL;
    CREATE TABLE tunnel (
      id TEXT PRIMARY KEY,
      token INTEGER NOT NULL REFERENCES token (id),
      identity BLOB NOT NULL,
      generated INTEGER NOT NULL,
      created INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tunnel_of_token ON tunnel (token);
    PRAGMA application_id = 0x6c656174;
    )",
    // Kinds: 'token', 'agent' (made for a join code, bound to an identity), 'jwt' (one for each
    // subject; its hash is random, so that nothing has it).
    R"(
    ALTER TABLE token ADD COLUMN kind TEXT NOT NULL DEFAULT 'token';
    ALTER TABLE token ADD COLUMN plan TEXT NOT NULL DEFAULT '';
    ALTER TABLE token ADD COLUMN identity BLOB;
    CREATE INDEX token_of_name ON token (name);
    CREATE TABLE code (
      id TEXT PRIMARY KEY,
      hash BLOB NOT NULL,
      purpose TEXT NOT NULL,
      name TEXT NOT NULL,
      plan TEXT NOT NULL,
      created INTEGER NOT NULL,
      expires INTEGER NOT NULL,
      tries INTEGER NOT NULL DEFAULT 0,
      used INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE usage (
      owner TEXT NOT NULL,
      period TEXT NOT NULL,
      bytes_in INTEGER NOT NULL,
      bytes_out INTEGER NOT NULL,
      requests INTEGER NOT NULL,
      PRIMARY KEY (owner, period)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE bucket (owner TEXT PRIMARY KEY, settled INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    )",
};
constexpr std::int64_t kVersion = std::size(kSteps);
constexpr std::int64_t kApplication = 0x6c656174;  // "leat"

Result<void> take_steps(Database& database) {
  const auto version = database.number("PRAGMA user_version");  // another process may be faster
  if (!version) return tl::unexpected(version.error());
  for (std::int64_t step = *version; step < kVersion; ++step) {
    if (const auto taken = database.run(kSteps[step]); !taken) return taken;
  }
  const std::string set = "PRAGMA user_version = " + std::to_string(kVersion);
  return database.run(set.c_str());
}

}  // namespace

Result<void> migrate(Database& database, const std::string& path) {
  const auto version = database.number("PRAGMA user_version");
  const auto application = database.number("PRAGMA application_id");
  const auto tables = database.number("SELECT count(*) FROM sqlite_schema");
  for (const auto* each : {&version, &application, &tables}) {
    if (!*each) return tl::unexpected(each->error());
  }
  if (*tables != 0 && *application != kApplication) {
    return fail(Code::STORE, path + ": is the database of another program");
  }
  if (*version == kVersion) return {};  // nothing is written: a full disk stops nobody here
  if (*version > kVersion) {
    return fail(Code::STORE, path + ": was made by a newer version of leat (schema " +
                                 std::to_string(*version) + ", this one knows " +
                                 std::to_string(kVersion) + ")");
  }
  if (const auto begun = database.run("BEGIN IMMEDIATE"); !begun) return begun;
  Result<void> done = take_steps(database);
  if (done) done = database.run("COMMIT");
  if (!done) (void)database.run("ROLLBACK");
  return done;
}

}  // namespace leat::store
