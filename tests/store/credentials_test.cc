// Join codes, subjects of JWTs, and databases of the version before these.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "base/crypto_util.h"
#include "base/file.h"
#include "store/store.h"
#include "support/temp_dir.h"

namespace leat::store {
namespace {

constexpr PublicKey kAgent{1}, kOther{2};

class Credentials : public testing::Test {
 protected:
  std::unique_ptr<Store> open() { return Store::open(path_).value(); }
  std::optional<Joined> redeem(std::string_view code, const PublicKey& identity = kAgent,
                               std::string_view purpose = "agent") {
    return store_->redeem(Secret(std::string(code)), purpose, identity).value();
  }

  const test::TempDir dir_;
  const std::string path_ = dir_ / "leat.db";
  std::unique_ptr<Store> store_ = open();
};

TEST_F(Credentials, ACodeBecomesACredentialOnce) {
  const Secret code =
      store_->create_code({.purpose = "agent", .name = "laptop", .plan = "pro"}).value();
  const auto joined = redeem(code.reveal());
  ASSERT_TRUE(joined);
  EXPECT_EQ(joined->token.name, "laptop");
  EXPECT_EQ(joined->token.plan, "pro");
  EXPECT_EQ(joined->token.identity, kAgent);
  EXPECT_EQ(joined->token.kind, TokenInfo::Kind::agent);
  const auto known = store_->verify(joined->credential).value();
  ASSERT_TRUE(known);
  EXPECT_EQ(known->identity, kAgent) << "good with this key only; the caller compares";
  EXPECT_FALSE(redeem(code.reveal())) << "used";
  ASSERT_TRUE(store_->revoke_token("laptop"));
  EXPECT_FALSE(store_->verify(joined->credential).value());
}

TEST_F(Credentials, ACodeHasFiveTries) {
  const std::string code(store_->create_code({}).value().reveal());
  ASSERT_EQ(code.size(), 8u + 1 + 26);
  const std::string wrong = code.substr(0, 9) + std::string(26, 'a');
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(redeem(wrong));
  EXPECT_TRUE(redeem(code)) << "four wrong ones are forgiven";

  const std::string second(store_->create_code({}).value().reveal());
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(redeem(second.substr(0, 9) + std::string(26, 'a')));
  store_ = open();
  EXPECT_FALSE(redeem(second)) << "counted in the database, so a restart gives none back";
}

TEST_F(Credentials, ACodeRunsOutAndHasAPurpose) {
  const Secret late = store_->create_code({.life = std::chrono::seconds(0)}).value();
  EXPECT_FALSE(redeem(late.reveal()));
  const Secret device = store_->create_code({.purpose = "device"}).value();
  EXPECT_FALSE(redeem(device.reveal()));
  EXPECT_TRUE(redeem(device.reveal(), kAgent, "device"))
      << "asking for the wrong thing costs nothing";
}

TEST_F(Credentials, OtherTextsAreNoCodes) {
  const std::string code(store_->create_code({}).value().reveal());
  for (const std::string& text :
       {std::string(), std::string("-"), code.substr(0, 8), code.substr(0, 9), code + "a",
        code.substr(9), std::string(100'000, 'x'), std::string("\0-\0", 3), "' OR 1=1 --" + code}) {
    EXPECT_FALSE(redeem(text));
  }
  EXPECT_TRUE(redeem(code));
}

TEST_F(Credentials, JoiningAgainReplaces) {
  const auto join = [&](std::string name, const PublicKey& identity) {
    return *redeem(store_->create_code({.name = std::move(name)}).value().reveal(), identity);
  };
  const Joined first = join("", kAgent), again = join("", kAgent), other = join("", kOther);
  EXPECT_EQ(first.token.name, again.token.name);
  EXPECT_NE(first.token.name, other.token.name);
  EXPECT_FALSE(store_->verify(first.credential).value());
  EXPECT_TRUE(store_->verify(again.credential).value());
  // A name that somebody else has is not taken from him.
  const Joined mine = join("home", kAgent), theirs = join("home", kOther);
  EXPECT_TRUE(theirs.token.name.starts_with("home-"));
  EXPECT_TRUE(store_->verify(mine.credential).value());
}

TEST_F(Credentials, NeitherCodeNorCredentialIsInTheFiles) {
  const std::string code(store_->create_code({}).value().reveal());
  const auto joined = redeem(code);
  store_.reset();
  for (const char* suffix : {"", "-wal"}) {
    const auto data = read_file(path_ + suffix, Code::STORE);
    if (!data) continue;
    EXPECT_EQ(data->find(code.substr(9)), data->npos);
    EXPECT_EQ(data->find(joined->credential.reveal()), data->npos);
  }
}

TEST_F(Credentials, ASubjectIsAnOwner) {
  const TokenInfo alice = store_->subject("alice", "").value();
  EXPECT_EQ(alice.name, "jwt:alice");
  EXPECT_EQ(alice.kind, TokenInfo::Kind::jwt);
  EXPECT_EQ(store_->subject("alice", "pro").value().id, alice.id);
  EXPECT_EQ(store_->subject("alice", "pro").value().plan, "pro");
  EXPECT_EQ(store_->tokens().value().back().plan, "pro") << "for who looks";
  EXPECT_EQ(store_->subject("alice", "").value().plan, "") << "what the token says now";
  const std::int64_t bob = store_->subject("bob", "").value().id;
  ASSERT_TRUE(store_->claim("notes", alice.id, kAgent, false));
  EXPECT_EQ(store_->claim("notes", bob, kOther, false).error().code, Code::TUNNEL_TAKEN);
  EXPECT_EQ(store_->create_token("jwt:alice").error().code, Code::USAGE) << "nobody's name";
}

TEST_F(Credentials, AppsGoThatNobodyUses) {
  using std::chrono::sys_seconds;
  const Secret token = store_->create_app("app-1").value();
  ASSERT_TRUE(store_->create_token("home"));
  const auto before = store_->tokens().value();
  ASSERT_EQ(before.size(), 2u);
  EXPECT_EQ(before[0].kind, TokenInfo::Kind::app);
  ASSERT_TRUE(store_->claim("notes", before[0].id, kAgent, false));
  ASSERT_TRUE(store_->settle({{"app-1", "2026-11", {1, 2, 3}}, {"home", "2026-11", {1, 2, 3}}},
                             {{"app-1", 7}, {"bytes\napp-1", 7}, {"home", 7}, {"bytes\nhome", 7}}));
  const sys_seconds made = before[0].created;
  ASSERT_TRUE(store_->forget_apps(made, {}));
  EXPECT_EQ(store_->tokens().value().size(), 2u) << "made just then";
  // A session that uses it now, although it came long ago.
  ASSERT_TRUE(store_->forget_apps(made, {before[0].id}));
  EXPECT_TRUE(store_->tokens().value()[0].last_used);
  ASSERT_TRUE(store_->forget_apps(made + std::chrono::hours(1), {}));
  ASSERT_EQ(store_->tokens().value().size(), 1u);
  EXPECT_EQ(store_->tokens().value()[0].name, "home") << "whoever made it decides";
  EXPECT_FALSE(store_->verify(token).value());
  EXPECT_FALSE(store_->is_owned("notes").value());
  EXPECT_EQ(store_->usages({}).value().size(), 1u);
  for (const char* gone : {"app-1", "bytes\napp-1"}) EXPECT_EQ(store_->bucket(gone).value(), 0);
  for (const char* kept : {"home", "bytes\nhome"}) EXPECT_EQ(store_->bucket(kept).value(), 7);
}

TEST_F(Credentials, APlanIsGivenToWhoeverHoldsTheName) {
  ASSERT_TRUE(store_->create_token("home", "free"));
  store_->changed();
  ASSERT_TRUE(store_->set_plan("home", "pro"));
  EXPECT_TRUE(store_->changed());
  EXPECT_EQ(store_->plan_of("home").value(), "pro");
  EXPECT_EQ(store_->set_plan("nobody", "pro").error().code, Code::NO_SUCH_TOKEN);
  EXPECT_EQ(store_->plan_of("nobody").error().code, Code::NO_SUCH_TOKEN);
  ASSERT_TRUE(store_->subject("alice", "free"));
  EXPECT_EQ(store_->set_plan("jwt:alice", "pro").error().code, Code::NO_SUCH_TOKEN)
      << "her tokens say it";
  ASSERT_TRUE(store_->revoke_token("home"));
  EXPECT_EQ(store_->set_plan("home", "free").error().code, Code::NO_SUCH_TOKEN);
}

TEST_F(Credentials, ARevokedSubjectStaysOutUntilAllowed) {
  const std::int64_t alice = store_->subject("alice", "").value().id;
  ASSERT_TRUE(store_->revoke_token("jwt:alice"));
  EXPECT_FALSE(store_->is_live(alice).value());
  EXPECT_EQ(store_->subject("alice", "").error().code, Code::REVOKED);
  EXPECT_EQ(store_->allow("jwt:bob").error().code, Code::NO_SUCH_TOKEN);
  ASSERT_TRUE(store_->allow("jwt:alice"));
  EXPECT_EQ(store_->subject("alice", "").value().id, alice) << "and has its tunnels";
}

TEST_F(Credentials, ATokenMadeAnewOwnsWhatItsNameOwned) {
  ASSERT_TRUE(store_->create_token("home"));
  ASSERT_TRUE(store_->create_token("stranger"));
  const std::int64_t before = store_->tokens().value().at(0).id, stranger = before + 1;
  ASSERT_TRUE(store_->claim("notes", before, kAgent, false));
  ASSERT_TRUE(store_->revoke_token("home"));
  const std::int64_t after =
      store_->verify(store_->create_token("home").value()).value().value().id;
  EXPECT_EQ(store_->claim("notes", stranger, kOther, false).error().code, Code::TUNNEL_TAKEN);
  EXPECT_TRUE(store_->claim("notes", after, kOther, false)) << "another machine of the same owner";
}

// The first released schema, as it was.
constexpr char kVersion1[] = R"(
    CREATE TABLE token (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
      hash BLOB NOT NULL UNIQUE, created INTEGER NOT NULL, last_used INTEGER, revoked INTEGER) STRICT;
    CREATE UNIQUE INDEX token_in_force ON token (name) WHERE revoked IS NULL;
    CREATE TABLE tunnel (id TEXT PRIMARY KEY, token INTEGER NOT NULL REFERENCES token (id),
      identity BLOB NOT NULL, generated INTEGER NOT NULL, created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX tunnel_of_token ON tunnel (token);
    PRAGMA application_id = 0x6c656174;
    PRAGMA user_version = 1;
    PRAGMA journal_mode = WAL;
)";

TEST(Migration, AnOlderDatabaseKeepsItsTokens) {
  const test::TempDir dir;
  const std::string path = dir / "leat.db", secret = "leat_of_the_first_version";
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &raw), SQLITE_OK);
  const std::string insert = "INSERT INTO token (name, hash, created) VALUES ('old', x'" +
                             hex(sha256(as_bytes(secret))) + "', 1)";
  ASSERT_EQ(sqlite3_exec(raw, (kVersion1 + insert).c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(raw);
  sqlite3_close(raw);
  const auto store = Store::open(path).value();
  const auto token = store->verify(Secret(secret)).value();
  ASSERT_TRUE(token);
  EXPECT_EQ(token->name, "old");
  EXPECT_EQ(token->kind, TokenInfo::Kind::token);
  EXPECT_FALSE(token->identity);
  EXPECT_TRUE(store->create_code({}));
}

}  // namespace
}  // namespace leat::store
