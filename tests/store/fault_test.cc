// What happens to the store when the disk is full, the file read-only, damaged, locked or gone:
// errors, never a crash, and never a credential that should not pass.
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <random>
#include <vector>

#include "base/crypto_util.h"
#include "base/file.h"
#include "store/store.h"
#include "support/temp_dir.h"

namespace leat::store {
namespace {

constexpr PublicKey kAgent{1};

class StoreFault : public testing::Test {
 protected:
  std::unique_ptr<Store> open() {
    auto opened = Store::open(path_);
    EXPECT_TRUE(opened) << opened.error().detail;
    return opened ? std::move(*opened) : nullptr;
  }

  const test::TempDir dir_;
  const std::string path_ = dir_ / "leat.db";
};

// No file of this process can grow or be written while one of these lives: a full disk, as far as
// SQLite can tell.
class FullDisk {
 public:
  FullDisk() {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

template <typename T>
void expect_store_error(const Result<T>& result) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::STORE) << result.error().text();
  EXPECT_FALSE(result.error().detail.empty());
}

TEST_F(StoreFault, WithAFullDiskAgentsStillComeBack) {
  const auto store = open();
  const auto token = store->create_token("home").value();
  const std::int64_t id = store->tokens().value().front().id;
  ASSERT_TRUE(store->claim("notes", id, kAgent, false));
  {
    const FullDisk full;
    const auto found = store->verify(token);
    ASSERT_TRUE(found) << found.error().detail;
    EXPECT_TRUE(*found) << "noting the use failed, which is no reason to refuse";
    EXPECT_TRUE(store->claim("notes", id, kAgent, false));
    EXPECT_EQ(store->verify(Secret(std::string("leat_wrong"))).value(), std::nullopt);
    expect_store_error(store->create_token("more"));
    expect_store_error(store->revoke_token("home"));
    expect_store_error(store->claim("more", id, kAgent, false));
  }
  EXPECT_TRUE(store->create_token("more")) << "space again: it goes on";
  EXPECT_EQ(store->tokens().value().size(), 2u);
  EXPECT_TRUE(store->claim("more", id, kAgent, false));
}

TEST_F(StoreFault, ClaimsTogetherFailTogether) {
  const auto store = open();
  ASSERT_TRUE(store->create_token("home"));
  const std::int64_t id = store->tokens().value().front().id;
  ASSERT_TRUE(store->claim("notes", id, kAgent, false));
  std::vector<Claim> claims{{"notes", false}};
  for (int i = 0; i < 100; ++i) claims.push_back({"t" + std::to_string(i), true});
  {
    const FullDisk full;
    const auto results = store->claim(claims, id, kAgent);
    EXPECT_TRUE(results.front()) << "what is owned already needs no disk";
    for (std::size_t i = 1; i < results.size(); ++i) expect_store_error(results[i]);
  }
  EXPECT_EQ(store->is_generated("t0", id), false);
  for (const auto& result : store->claim(claims, id, kAgent)) EXPECT_TRUE(result);
  EXPECT_EQ(store->is_generated("t99", id), true);
}

TEST_F(StoreFault, AFullDiskIsSaidAtStart) {
  const FullDisk full;
  expect_store_error(Store::open(path_));
}

// Byte 18 of the header, 3: a file format that may be read and not written (SQLite file format
// §1.3.3). Unlike a mode this also binds root.
TEST_F(StoreFault, AReadOnlyDatabaseServes) {
  const Secret token = open()->create_token("home").value();
  std::string data = read_file(path_, Code::STORE).value();
  ASSERT_EQ(data[18], 2);
  data[18] = 3;
  ASSERT_TRUE(write_file(path_, data, 0600, Code::STORE));
  const auto store = open();
  const auto found = store->verify(token);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ(store->is_live((*found)->id), true);
  EXPECT_EQ(store->verify(Secret(std::string("leat_wrong"))).value(), std::nullopt);
  EXPECT_EQ(store->tokens().value().size(), 1u);
  expect_store_error(store->create_token("more"));
  expect_store_error(store->revoke_token("home"));
  expect_store_error(store->claim("notes", (*found)->id, kAgent, false));
  expect_store_error(store->release("notes"));
}

TEST_F(StoreFault, WhatIsNoDatabaseIsRefusedAndKept) {
  for (const std::string& content :
       {std::string("not a database, but quite long: ") + std::string(8192, 'x'),
        std::string("short"), std::string(100, '\0') + std::string(8192, '\xff')}) {
    ASSERT_TRUE(write_file(path_, content, 0600, Code::STORE));
    expect_store_error(Store::open(path_));
    EXPECT_EQ(read_file(path_, Code::STORE).value(), content);
  }
}

TEST_F(StoreFault, ADirectoryInItsPlaceIsRefused) {
  std::filesystem::create_directory(path_);
  expect_store_error(Store::open(path_));
  expect_store_error(Store::open(dir_ / "none/leat.db"));
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path() + "/leat.db"));
}

TEST_F(StoreFault, AnotherProcessThatHoldsTheLockIsAnError) {
  const auto store = Store::open(path_, std::chrono::milliseconds(1)).value();
  const auto token = store->create_token("home").value();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  expect_store_error(store->create_token("more"));
  const auto found = store->verify(token);
  EXPECT_TRUE(found && *found) << "reading goes on";
  ASSERT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_TRUE(store->create_token("more"));
}

// Damage anywhere in the file, block by block and at random. What the store answers is open; that
// it answers, and lets no wrong credential in, is not.
TEST_F(StoreFault, DamageIsNeverACrashNorALogin) {
  std::vector<Secret> tokens;
  {
    const auto store = open();
    for (int i = 0; i < 40; ++i) {
      tokens.push_back(store->create_token("token-" + std::to_string(i)).value());
      ASSERT_TRUE(store->claim("tunnel-" + std::to_string(i), i + 1, kAgent, i % 2 == 0));
    }
    for (int i = 0; i < 40; i += 4) {
      ASSERT_TRUE(store->revoke_token("token-" + std::to_string(i)));
    }
  }
  const std::string good = read_file(path_, Code::STORE).value();
  const std::string damaged_path = dir_ / "damaged.db";
  int refused = 0, failed = 0;
  const auto attempt = [&](const std::string& data) {
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(damaged_path + suffix);
    ASSERT_TRUE(write_file(damaged_path, data, 0600, Code::STORE));
    const auto store = Store::open(damaged_path);
    if (!store) {
      EXPECT_EQ(store.error().code, Code::STORE);
      ++refused;
      return;
    }
    for (std::size_t i = 0; i < tokens.size(); i += 7) {
      const auto found = (*store)->verify(tokens[i]);
      if (!found) ++failed;
    }
    const auto wrong = (*store)->verify(Secret("leat_" + std::string(43, 'A')));
    EXPECT_FALSE(wrong && *wrong);
    (void)(*store)->tokens();
    (void)(*store)->is_live(3);
    (void)(*store)->changed();
    (void)(*store)->create_token("new");
    (void)(*store)->claim("new", 1, kAgent, true);
    (void)(*store)->revoke_token("token-5");
    (void)(*store)->release("tunnel-5");
  };
#ifdef LEAT_SANITIZED
  constexpr std::size_t kBlock = 256, kRandom = 50;
#else
  constexpr std::size_t kBlock = 64, kRandom = 300;
#endif
  for (std::size_t at = 0; at < good.size(); at += kBlock) {
    std::string data = good;
    data.replace(at, kBlock, kBlock, '\xff');
    attempt(data);
  }
  for (std::size_t size = 0; size < good.size(); size += 1024) attempt(good.substr(0, size));
  std::mt19937 random(1);  // the same damage each time
  for (std::size_t i = 0; i < kRandom; ++i) {
    std::string data = good;
    for (int k = 0; k < 8; ++k) data[random() % data.size()] = static_cast<char>(random());
    attempt(data);
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(failed, 0);
}

// Whatever was told to be done is there after the process was killed.
TEST_F(StoreFault, AKilledProcessLosesNothing) {
  std::array<int, 2> pipe;
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto store = Store::open(path_);
    for (int i = 0; store && i < 10'000; ++i) {
      const auto token = (*store)->create_token("t" + std::to_string(i));
      if (!token || ::write(pipe[1], token->reveal().data(), 48) != 48) break;
    }
    ::_exit(1);
  }
  ASSERT_GT(child, 0);
  ::close(pipe[1]);
  std::vector<Secret> told;
  std::string text(48, '\0');
  while (told.size() < 20) {
    ASSERT_EQ(::read(pipe[0], text.data(), text.size()), 48);
    told.emplace_back(text);
  }
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  ::close(pipe[0]);
  const auto store = open();
  for (const Secret& token : told) {
    const auto found = store->verify(token);
    EXPECT_TRUE(found && *found);
  }
}

}  // namespace
}  // namespace leat::store
