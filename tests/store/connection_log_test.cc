// The connection log: what was added is found again, for as long as it is kept; and a disk that is
// full, locked or damaged costs rows, never the caller's time.
#include "store/connection_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>

#include "support/temp_dir.h"

namespace leat::store {
namespace {

using namespace std::chrono_literals;

class ConnectionLogTest : public testing::Test {
 protected:
  std::unique_ptr<ConnectionLog> open(ConnectionLog::Retention retention = {}) {
    auto opened = ConnectionLog::open(path_, retention);
    EXPECT_TRUE(opened) << opened.error().detail;
    return opened ? std::move(*opened) : nullptr;
  }
  static Milliseconds now() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  }
  static Connection visit(std::string tunnel, std::string path = "/") {
    Connection out;
    out.began = now();
    out.duration = 5ms;
    out.request_id = "request-of-" + tunnel;
    out.tunnel = std::move(tunnel);
    out.owner = "somebody";
    out.address = "203.0.113.7";
    out.kind = "http";
    out.method = "GET";
    out.path = std::move(path);
    out.status = 200;
    out.bytes_in = 100;
    out.bytes_out = 3'000'000'000;
    return out;
  }
  static std::vector<std::string> paths(const ConnectionPage& page) {
    std::vector<std::string> out;
    for (const Connection& row : page.rows) out.push_back(row.path);
    return out;
  }

  const test::TempDir dir_;
  const std::string path_ = dir_ / "connections.db";
};

TEST_F(ConnectionLogTest, KeepsEveryColumn) {
  const auto log = open();
  Connection put = visit("a", "/x");
  put.first_byte = 3ms;
  put.reason = "LEAT_SERVICE_CUT";
  log->add(put);
  log->add(visit("b"));
  log->flush();
  const auto page = log->find({});
  ASSERT_TRUE(page) << page.error().text();
  ASSERT_EQ(page->rows.size(), 2u);
  EXPECT_EQ(page->next, 0);
  const Connection& got = page->rows[1];
  EXPECT_EQ(got.id, 1);
  EXPECT_EQ(got.began, put.began);
  EXPECT_EQ(got.duration, 5ms);
  EXPECT_EQ(got.first_byte, 3ms);
  EXPECT_EQ(got.request_id, put.request_id);
  EXPECT_EQ(got.tunnel, "a");
  EXPECT_EQ(got.owner, "somebody");
  EXPECT_EQ(got.address, "203.0.113.7");
  EXPECT_EQ(got.kind, "http");
  EXPECT_EQ(got.method, "GET");
  EXPECT_EQ(got.path, "/x");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.reason, "LEAT_SERVICE_CUT");
  EXPECT_EQ(got.bytes_in, 100u);
  EXPECT_EQ(got.bytes_out, 3'000'000'000u);
  EXPECT_EQ(page->rows[0].first_byte, std::nullopt);
  struct stat status;
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(ConnectionLogTest, FindsBySearch) {
  const auto log = open();
  log->add(visit("a", "/one"));
  Connection other = visit("b", "/two");
  other.address = "2001:db8::1";
  other.status = 404;
  other.began -= 1h;
  log->add(other);
  log->add(visit("a", "/100%_\\"));
  log->flush();
  EXPECT_EQ(paths(*log->find({.tunnel = "b"})), std::vector<std::string>{"/two"});
  EXPECT_EQ(paths(*log->find({.address = "2001:"})), std::vector<std::string>{"/two"});
  EXPECT_EQ(log->find({.address = "1:"})->rows.size(), 0u) << "from the beginning of it";
  EXPECT_EQ(paths(*log->find({.text = "get /ONE"})), std::vector<std::string>{"/one"});
  EXPECT_EQ(paths(*log->find({.text = "404"})), std::vector<std::string>{"/two"});
  EXPECT_EQ(paths(*log->find({.text = "0%_\\"})), std::vector<std::string>{"/100%_\\"});
  EXPECT_EQ(log->find({.text = "o%e"})->rows.size(), 0u) << "no pattern of the searcher's";
  EXPECT_EQ(log->find({.text = "' OR 1 --"})->rows.size(), 0u);
  EXPECT_EQ(log->find({.since = now() - 10min})->rows.size(), 2u);
  EXPECT_EQ(paths(*log->find({.until = now() - 10min})), std::vector<std::string>{"/two"});
}

TEST_F(ConnectionLogTest, IsReadPageByPage) {
  const auto log = open();
  constexpr int kRows = 250;
  for (int i = 0; i < kRows; ++i) log->add(visit("a", "/" + std::to_string(i)));
  log->flush();
  ConnectionQuery query{.limit = 100};
  std::vector<std::string> all;
  int pages = 0;
  do {
    const auto page = log->find(query);
    ASSERT_TRUE(page);
    for (const std::string& path : paths(*page)) all.push_back(path);
    query.before = page->next;
    ASSERT_LE(++pages, 3);
  } while (query.before != 0);
  ASSERT_EQ(all.size(), kRows);
  for (int i = 0; i < kRows; ++i) EXPECT_EQ(all[i], "/" + std::to_string(kRows - 1 - i));
}

// The caller's traffic waits with it.
TEST_F(ConnectionLogTest, OneSearchLooksAtFewRows) {
  const auto log = open();
  for (int i = 0; i < 5000; ++i) log->add(visit("a"));
  log->flush();
  const auto page = log->find({.text = "nowhere"});
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->rows.empty());
  EXPECT_EQ(page->next, 3001);
}

TEST_F(ConnectionLogTest, ForgetsByAgeAndNumber) {
  const auto log = open({std::chrono::days(2), 1500});
  Connection old = visit("old");
  old.began -= std::chrono::days(3);
  log->add(old);
  for (int i = 0; i < 4000; ++i) log->add(visit("new", "/" + std::to_string(i)));
  log->flush();
  EXPECT_EQ(log->find({.tunnel = "old"})->rows.size(), 0u);
  std::size_t kept = 0;
  std::string last;
  for (ConnectionQuery query{.limit = 500};;) {
    const auto page = log->find(query);
    ASSERT_TRUE(page);
    kept += page->rows.size();
    if (!page->rows.empty()) last = page->rows.back().path;
    if (page->next == 0) break;
    query.before = page->next;
  }
  EXPECT_EQ(kept, 1500u);
  EXPECT_EQ(last, "/2500");
}

TEST_F(ConnectionLogTest, WritesWhatWaitsWhenItGoes) {
  open()->add(visit("a"));
  EXPECT_EQ(open()->find({})->rows.size(), 1u);
}

// Another process holds the write lock: a disk that does not answer, as far as the caller can tell.
TEST_F(ConnectionLogTest, ALockedDatabaseHoldsUpNobody) {
  const auto log = open();
  log->add(visit("before"));
  log->flush();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < ConnectionLog::kWaiting + 10; ++i) log->add(visit("during"));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 1s);
  EXPECT_EQ(log->find({})->rows.size(), 1u) << "it can be read";
  log->flush();
  ASSERT_TRUE(log->failure());
  EXPECT_EQ(log->failure()->code, Code::STORE);
  EXPECT_GT(log->dropped(), 0u) << "and no more is kept than has room";
  ASSERT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  log->flush();
  EXPECT_EQ(log->failure(), std::nullopt);
  EXPECT_EQ(log->find({.tunnel = "during"})->rows.size(), 100u) << "what waited is written";
}

TEST_F(ConnectionLogTest, AFullDiskCostsRowsOnly) {
  const auto log = open();
  log->add(visit("before"));
  log->flush();
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &none);
  log->add(visit("during"));
  log->flush();
  EXPECT_TRUE(log->failure());
  EXPECT_EQ(log->find({})->rows.size(), 1u);
  ::setrlimit(RLIMIT_FSIZE, &before);
  log->flush();
  EXPECT_FALSE(log->failure());
  EXPECT_EQ(log->find({})->rows.size(), 2u);
}

TEST_F(ConnectionLogTest, RefusesWhatIsNoLog) {
  std::ofstream(path_) << "this is no database, and rather longer than the head of one would be ..."
                          "................................................................";
  const auto damaged = ConnectionLog::open(path_, {});
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Code::STORE);

  const std::string another = dir_ / "other.db";
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(another.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "CREATE TABLE t (a)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_FALSE(ConnectionLog::open(another, {}));
}

}  // namespace
}  // namespace leat::store
