#include "store/store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>
#include <vector>

#include "base/crypto_util.h"
#include "base/file.h"
#include "base/limits.h"
#include "support/temp_dir.h"

namespace leat::store {
namespace {

constexpr PublicKey kAlice{1};
constexpr PublicKey kBob{2};

class StoreTest : public testing::Test {
 protected:
  std::unique_ptr<Store> open() {
    auto opened = Store::open(path_);
    EXPECT_TRUE(opened) << opened.error().detail;
    return opened ? std::move(*opened) : nullptr;
  }

  // Every file of the database, as bytes.
  std::string bytes() const {
    std::string all;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      std::ifstream file(entry.path(), std::ios::binary);
      all.append(std::istreambuf_iterator<char>(file), {});
    }
    return all;
  }

  const test::TempDir dir_;
  const std::string path_ = dir_ / "leat.db";
};

std::int64_t id_of(Store& store, const Secret& token) {
  const auto info = store.verify(token);
  return info && *info ? (*info)->id : 0;
}

// Runs `body` in a process of its own; true if it returned true.
bool in_another_process(const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body() ? 0 : 1);
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

TEST_F(StoreTest, TokenIsVerifiedUntilRevoked) {
  const auto store = open();
  const auto token = store->create_token("home");
  ASSERT_TRUE(token) << token.error().detail;
  const auto found = store->verify(*token);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->name, "home");
  EXPECT_NE((*found)->id, 0);
  EXPECT_EQ(store->is_live((*found)->id), true);

  ASSERT_TRUE(store->revoke_token("home"));
  EXPECT_EQ(store->verify(*token).value(), std::nullopt);
  EXPECT_EQ(store->is_live((*found)->id), false);
  EXPECT_EQ(store->revoke_token("home").error().code, Code::NO_SUCH_TOKEN);
}

TEST_F(StoreTest, OtherTextsAreNoTokens) {
  const auto store = open();
  const std::string good(store->create_token("home").value().reveal());
  for (const std::string& text :
       {std::string(), std::string("leat_"), good.substr(1), good.substr(0, good.size() - 1),
        good + "A", good + " ", " " + good, good + '\0', std::string(100'000, 'A'),
        std::string("' OR 1=1 --")}) {
    const auto found = store->verify(Secret(text));
    ASSERT_TRUE(found) << found.error().detail;
    EXPECT_FALSE(*found) << text;
  }
  EXPECT_EQ(store->is_live(0), false);
  EXPECT_EQ(store->is_live(-1), false);
}

TEST_F(StoreTest, TokenHas256RandomBits) {
  const auto store = open();
  std::string ones(32, '\0'), zeros(32, '\0');
  for (int i = 0; i < 64; ++i) {
    const auto token = store->create_token("t" + std::to_string(i));
    const std::string_view text = token.value().reveal();
    ASSERT_TRUE(text.starts_with("leat_"));
    const auto raw = unbase64url(text.substr(5));
    ASSERT_TRUE(raw && raw->size() == 32) << text;
    for (std::size_t k = 0; k < 32; ++k) {
      ones[k] = static_cast<char>(ones[k] | (*raw)[k]);
      zeros[k] = static_cast<char>(zeros[k] | ~(*raw)[k]);
    }
  }
  // Every bit was seen in both states; by chance one is not in 2^-55 of all runs.
  EXPECT_EQ(ones, std::string(32, '\xff'));
  EXPECT_EQ(zeros, std::string(32, '\xff'));
}

TEST_F(StoreTest, NamesInForceAreUnique) {
  const auto store = open();
  const auto first = store->create_token("home").value();
  EXPECT_EQ(store->create_token("home").error().code, Code::TOKEN_EXISTS);
  EXPECT_TRUE(store->create_token("Home"));
  EXPECT_NE(id_of(*store, first), 0) << "the refusal left the first one alone";
  ASSERT_TRUE(store->revoke_token("home"));
  const auto second = store->create_token("home");
  ASSERT_TRUE(second);
  EXPECT_EQ(id_of(*store, first), 0);
  EXPECT_NE(id_of(*store, *second), 0);
}

TEST_F(StoreTest, NamesAreChecked) {
  const auto store = open();
  EXPECT_TRUE(store->create_token(std::string(64, 'a')));
  EXPECT_TRUE(store->create_token("ci.runner_2@example-host"));
  for (const std::string& name :
       {std::string(), std::string(65, 'a'), std::string("a b"), std::string("a\n"),
        std::string("\xc3\xa4"), std::string("a\0b", 3), std::string("'; DROP TABLE token; --")}) {
    EXPECT_EQ(store->create_token(name).error().code, Code::USAGE) << name;
  }
  EXPECT_EQ(store->revoke_token("'; DROP TABLE token; --").error().code, Code::NO_SUCH_TOKEN);
  EXPECT_EQ(store->tokens().value().size(), 2u);
}

TEST_F(StoreTest, ListShowsUseAndRevocation) {
  const auto store = open();
  const auto before = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto used = store->create_token("used").value();
  ASSERT_TRUE(store->create_token("idle"));
  ASSERT_TRUE(store->create_token("gone"));
  ASSERT_NE(id_of(*store, used), 0);
  ASSERT_TRUE(store->revoke_token("gone"));
  const auto after = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());

  const auto tokens = store->tokens().value();
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_EQ(tokens[0].name, "used");
  EXPECT_EQ(tokens[1].name, "idle");
  EXPECT_EQ(tokens[2].name, "gone");
  for (const TokenInfo& token : tokens) {
    EXPECT_TRUE(before <= token.created && token.created <= after);
    EXPECT_EQ(token.last_used.has_value(), token.name == "used");
    EXPECT_EQ(token.revoked.has_value(), token.name == "gone");
  }
  EXPECT_TRUE(before <= *tokens[0].last_used && *tokens[0].last_used <= after);
  EXPECT_TRUE(before <= *tokens[2].revoked && *tokens[2].revoked <= after);
}

TEST_F(StoreTest, EverythingSurvivesARestart) {
  auto store = open();
  const auto token = store->create_token("home").value();
  const std::int64_t id = id_of(*store, token);
  ASSERT_TRUE(store->claim("notes", id, kAlice, false));
  ASSERT_TRUE(store->claim("x7r2", id, kAlice, true));
  ASSERT_TRUE(store->create_token("gone"));
  ASSERT_TRUE(store->revoke_token("gone"));
  store.reset();
  store = open();
  EXPECT_EQ(id_of(*store, token), id);
  EXPECT_EQ(store->is_generated("x7r2", id), true);
  EXPECT_EQ(store->is_generated("notes", id), false);
  EXPECT_EQ(store->is_owned("x7r2"), true);
  EXPECT_EQ(store->is_owned("nobodys"), false);
  const auto other = store->create_token("other").value();
  EXPECT_EQ(store->claim("notes", id_of(*store, other), kBob, false).error().code,
            Code::TUNNEL_TAKEN);
  EXPECT_TRUE(store->tokens().value()[1].revoked);
}

TEST_F(StoreTest, FilesAreForTheirOwnerOnly) {
  const mode_t before = ::umask(0);
  const auto store = open();
  ASSERT_TRUE(store->create_token("home"));
  ::umask(before);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    struct stat status;
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 3u) << "the database, its log and its index";
}

TEST_F(StoreTest, AWiderModeIsTakenBack) {
  open();
  ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);
  open();
  struct stat status;
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(StoreTest, TheTokenIsNowhereInTheFiles) {
  auto store = open();
  const auto token = store->create_token("findable-name").value();
  const std::string text(token.reveal());
  ASSERT_NE(id_of(*store, token), 0);
  const std::string raw = unbase64url(text.substr(5)).value();
  for (int round = 0; round < 2; ++round) {
    const std::string all = bytes();
    EXPECT_NE(all.find("findable-name"), std::string::npos);
    EXPECT_EQ(all.find(text), std::string::npos);
    EXPECT_EQ(all.find(text.substr(5)), std::string::npos);
    EXPECT_EQ(all.find(raw), std::string::npos);
    EXPECT_EQ(all.find(hex(as_bytes(raw))), std::string::npos);
    store.reset();  // the second time after the log went into the database
  }
}

// --- tunnels ---

TEST_F(StoreTest, ATunnelHasOneOwner) {
  const auto store = open();
  const std::int64_t alice = id_of(*store, store->create_token("alice").value());
  const std::int64_t bob = id_of(*store, store->create_token("bob").value());
  ASSERT_TRUE(store->claim("notes", alice, kAlice, false));
  EXPECT_TRUE(store->claim("notes", alice, kAlice, false)) << "an agent that comes back";
  EXPECT_EQ(store->claim("notes", bob, kBob, false).error().code, Code::TUNNEL_TAKEN);
  EXPECT_EQ(store->claim("notes", bob, kAlice, false).error().code, Code::TUNNEL_TAKEN)
      << "the agent's key alone does not take a tunnel from a token in force";
  EXPECT_TRUE(store->claim("notes", alice, kBob, false)) << "a second agent of the same owner";
  EXPECT_TRUE(store->claim("other", bob, kBob, false));
}

TEST_F(StoreTest, AReleasedTunnelIsFree) {
  const auto store = open();
  const std::int64_t alice = id_of(*store, store->create_token("alice").value());
  const std::int64_t bob = id_of(*store, store->create_token("bob").value());
  ASSERT_TRUE(store->claim("notes", alice, kAlice, true));
  EXPECT_EQ(store->release("notes"), true);
  EXPECT_EQ(store->release("notes"), false);
  EXPECT_TRUE(store->claim("notes", bob, kBob, false));
  EXPECT_EQ(store->is_generated("notes", bob), false) << "nothing of the former owner stays";
  EXPECT_EQ(store->claim("notes", alice, kAlice, false).error().code, Code::TUNNEL_TAKEN);
}

// A new token for the same agent, the old one revoked: its tunnels stay its own, and only its.
TEST_F(StoreTest, TunnelsFollowTheAgentToItsNewToken) {
  const auto store = open();
  const std::int64_t old = id_of(*store, store->create_token("old").value());
  ASSERT_TRUE(store->claim("notes", old, kAlice, false));
  ASSERT_TRUE(store->claim("x7r2", old, kAlice, true));
  ASSERT_TRUE(store->revoke_token("old"));
  const std::int64_t bob = id_of(*store, store->create_token("bob").value());
  const std::int64_t fresh = id_of(*store, store->create_token("fresh").value());

  EXPECT_EQ(store->claim("notes", bob, kBob, false).error().code, Code::TUNNEL_TAKEN);
  EXPECT_EQ(store->is_generated("x7r2", fresh), true);
  EXPECT_TRUE(store->claim("notes", fresh, kAlice, false));
  EXPECT_TRUE(store->claim("x7r2", fresh, kAlice, false));
  EXPECT_EQ(store->is_generated("x7r2", fresh), true) << "how an id was made is not forgotten";
  EXPECT_EQ(store->is_generated("x7r2", bob), false);
  EXPECT_EQ(store->claim("notes", bob, kAlice, false).error().code, Code::TUNNEL_TAKEN);
}

TEST_F(StoreTest, ClaimsTogetherAreAnsweredOneByOne) {
  const auto store = open();
  const std::int64_t alice = id_of(*store, store->create_token("alice").value());
  const std::int64_t bob = id_of(*store, store->create_token("bob").value());
  ASSERT_TRUE(store->claim("notes", bob, kBob, false));
  ASSERT_TRUE(store->claim("mine", alice, kAlice, false));
  const auto results = store->claim(
      {{"new", false}, {"notes", false}, {"mine", false}, {"x7r2", true}}, alice, kAlice);
  ASSERT_EQ(results.size(), 4u);
  EXPECT_TRUE(results[0]);
  EXPECT_EQ(results[1].error().code, Code::TUNNEL_TAKEN);
  EXPECT_TRUE(results[2]);
  EXPECT_TRUE(results[3]);
  EXPECT_EQ(store->owns("new", alice, kAlice), true);
  EXPECT_EQ(store->owns("new", alice, kBob), false);
  EXPECT_EQ(store->owns("new", bob, kAlice), false);
  EXPECT_EQ(store->owns("notes", bob, kBob), true);
  EXPECT_EQ(store->is_generated("x7r2", alice), true);
  EXPECT_EQ(store->is_generated("new", alice), false);
}

TEST_F(StoreTest, ATokenOwnsSoManyAndNoMore) {
  const auto store = open();
  const std::int64_t alice = id_of(*store, store->create_token("alice").value());
  const std::int64_t bob = id_of(*store, store->create_token("bob").value());
  std::vector<Claim> claims;
  for (std::size_t i = 0; i <= limits::kTokenTunnels; ++i) {
    claims.push_back({"t" + std::to_string(i), i % 2 == 0});
  }
  const auto results = store->claim(claims, alice, kAlice);
  for (std::size_t i = 0; i < limits::kTokenTunnels; ++i) ASSERT_TRUE(results[i]) << i;
  EXPECT_EQ(results.back().error().code, Code::TUNNEL_LIMIT);
  EXPECT_EQ(store->claim("more", alice, kAlice, false).error().code, Code::TUNNEL_LIMIT);
  EXPECT_TRUE(store->claim("t0", alice, kAlice, false)) << "its own, again";
  EXPECT_TRUE(store->claim("t0", alice, kBob, false)) << "… also for another agent of its";
  EXPECT_TRUE(store->claim("more", bob, kBob, false)) << "nobody else is concerned";
  ASSERT_TRUE(store->release("t7"));
  EXPECT_TRUE(store->claim("instead", alice, kAlice, false));
}

TEST_F(StoreTest, ATunnelNeedsAnOwnerThatExists) {
  const auto store = open();
  EXPECT_EQ(store->claim("notes", 12345, kAlice, false).error().code, Code::STORE);
  EXPECT_EQ(store->is_generated("notes", 12345), false);
}

// --- several processes ---

TEST_F(StoreTest, ARevocationElsewhereIsSeen) {
  const auto store = open();
  const auto token = store->create_token("home").value();
  const std::int64_t id = id_of(*store, token);
  store->changed();
  EXPECT_FALSE(store->changed());
  ASSERT_TRUE(in_another_process([&] {
    const auto other = Store::open(path_);
    return other && (*other)->revoke_token("home");
  }));
  EXPECT_TRUE(store->changed());
  EXPECT_FALSE(store->changed()) << "told once";
  EXPECT_EQ(store->is_live(id), false);
  EXPECT_EQ(store->verify(token).value(), std::nullopt);
}

TEST_F(StoreTest, ARevocationHereIsSeenToo) {
  const auto store = open();
  ASSERT_TRUE(store->create_token("home"));
  store->changed();
  ASSERT_TRUE(store->revoke_token("home"));
  EXPECT_TRUE(store->changed());
  EXPECT_FALSE(store->changed());
}

TEST_F(StoreTest, ReadingElsewhereIsNoChange) {
  const auto store = open();
  ASSERT_TRUE(store->create_token("home"));
  store->changed();
  ASSERT_TRUE(in_another_process([&] {
    const auto other = Store::open(path_);
    return other && (*other)->tokens();
  }));
  EXPECT_FALSE(store->changed());
}

// `leat token create` beside a relay that starts for the first time, and the like.
TEST_F(StoreTest, ManyMayOpenAndWriteAtOnce) {
  constexpr int kThreads = 8;
  constexpr int kTokens = 5;
  std::vector<std::string> failures(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t, &failures] {
      const auto store = Store::open(path_, std::chrono::minutes(1));
      if (!store) {
        failures[t] = store.error().text();
        return;
      }
      for (int i = 0; i < kTokens; ++i) {
        const auto token = (*store)->create_token(std::to_string(t) + "." + std::to_string(i));
        if (!token) failures[t] = token.error().text();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) EXPECT_EQ(failure, "");
  EXPECT_EQ(open()->tokens().value().size(), std::size_t{kThreads * kTokens});
}

// --- versions ---

void run_sql(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
}

TEST_F(StoreTest, ANewerSchemaIsRefused) {
  open();
  run_sql(path_, "PRAGMA user_version = 1000");
  const auto refused = Store::open(path_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::STORE);
  EXPECT_NE(refused.error().detail.find("newer version"), std::string::npos);
}

TEST_F(StoreTest, AnotherProgramsDatabaseIsLeftAlone) {
  run_sql(path_, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
  for (const char* version : {"0", "1"}) {
    run_sql(path_, std::string("PRAGMA user_version = ") + version);
    const auto refused = Store::open(path_);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().detail.find("another program"), std::string::npos);
  }
  run_sql(path_, "SELECT x FROM theirs");
}

// Each with a database of its own, and no patience with anybody else.
TEST_F(StoreTest, ThreadsOfAProcessWaitForEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> refused = 0;
  open();
  for (int n = 0; n < 3; ++n) {
    threads.emplace_back([&, n] {
      const auto store = Store::open(path_, std::chrono::milliseconds(0));
      for (int i = 0; i < 100; ++i) {
        const auto made = (*store)->create_token("t" + std::to_string(1000 * n + i));
        if (!made) ++refused;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 0);
}

}  // namespace
}  // namespace leat::store
