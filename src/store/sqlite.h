// SQLite as values: a database, its prepared statements, and one run of a statement. Failures
// become LEAT_STORE errors that name the file and the reason.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace leat::store {

class Statement {
 public:
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  friend class Database;
  friend class Query;
  struct Free {
    void operator()(sqlite3_stmt* handle) const;
  };
  std::unique_ptr<sqlite3_stmt, Free> handle_;
};

class Database {
 public:
  // The file must be there. A mode wider than 0600 is taken back; the -wal and -shm files that
  // SQLite makes take theirs from it.
  static Result<Database> open(const std::string& path);

  Result<void> run(const char* sql);  // one or more statements without rows
  Result<Statement> prepare(const char* sql);
  // For a statement that gives one number.
  Result<std::int64_t> number(const char* sql);
  std::int64_t rows_changed() const;                  // by the last INSERT, UPDATE or DELETE
  void set_patience(std::chrono::milliseconds time);  // with other writers
  Error error() const;                                // of the last call that failed

  // After each commit, with the pages that the write-ahead log has; SQLite makes no checkpoint of
  // its own then.
  void on_commit(std::function<void(int pages)> told);
  // Brings the log into the database as far as nobody has to wait; the pages that are left.
  Result<int> checkpoint();

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::string path_;
  std::unique_ptr<std::function<void(int)>> told_;  // SQLite has its address
  std::unique_ptr<sqlite3, Close> handle_;
};

// One run of a statement: binds its parameters, steps through the rows, and makes the statement
// ready for the next run when it goes, so that no read transaction stays open.
class Query {
 public:
  template <typename... Values>
  Query(Database& database, Statement& statement, const Values&... values)
      : database_(database), handle_(statement.handle_.get()) {
    (bind(values), ...);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query();

  Result<bool> step();  // true: a row is there
  Result<void> run();   // for a statement without rows

  // Of the row, columns from 0.
  std::int64_t integer(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;
  std::string text(int column) const;
  std::string blob(int column) const;

 private:
  void bind(std::int64_t value);
  void bind(std::string_view value);
  void bind(Bytes value);

  Database& database_;
  sqlite3_stmt* handle_;
  int bound_ = 0;
};

}  // namespace leat::store
