#include "store/sqlite.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <system_error>
#include <utility>

namespace leat::store {

void Statement::Free::operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Result<Database> Database::open(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
      (status.st_mode & 077) != 0) {
    ::chmod(path.c_str(), 0600);  // an older file, copied about; not worth a refusal if it fails
  }

  Database database;
  database.path_ = path;
  sqlite3* handle = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int opened = sqlite3_open_v2(path.c_str(), &handle, kFlags, nullptr);
  database.handle_.reset(handle);
  if (opened != SQLITE_OK) return tl::unexpected(database.error());
  return database;
}

Result<void> Database::run(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return tl::unexpected(error());
}

Result<Statement> Database::prepare(const char* sql) {
  Statement statement;
  sqlite3_stmt* handle = nullptr;
  if (sqlite3_prepare_v3(handle_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, nullptr) !=
      SQLITE_OK) {
    return tl::unexpected(error());
  }
  statement.handle_.reset(handle);
  return statement;
}

Result<std::int64_t> Database::number(const char* sql) {
  auto statement = prepare(sql);
  if (!statement) return tl::unexpected(statement.error());
  Query query(*this, *statement);
  const auto row = query.step();
  if (!row) return tl::unexpected(row.error());
  return *row ? query.integer(0) : 0;
}

std::int64_t Database::rows_changed() const { return sqlite3_changes64(handle_.get()); }

void Database::set_patience(std::chrono::milliseconds time) {
  sqlite3_busy_timeout(handle_.get(), static_cast<int>(time.count()));
}

void Database::on_commit(std::function<void(int pages)> told) {
  told_ = std::make_unique<std::function<void(int)>>(std::move(told));
  constexpr auto kCall = +[](void* self, sqlite3*, const char*, int pages) {
    (*static_cast<std::function<void(int)>*>(self))(pages);
    return SQLITE_OK;
  };
  sqlite3_wal_hook(handle_.get(), *told_ ? kCall : nullptr, told_.get());
}

Result<int> Database::checkpoint() {
  int pages = 0, done = 0;
  if (sqlite3_wal_checkpoint_v2(handle_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &pages, &done) !=
      SQLITE_OK) {
    return tl::unexpected(error());
  }
  return pages - done;
}

Error Database::error() const {
  std::string detail = path_ + ": " + sqlite3_errmsg(handle_.get());
  const int code = sqlite3_errcode(handle_.get()) & 0xff;  // without the extension
  const int reason = sqlite3_system_errno(handle_.get());
  if (reason != 0 && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN)) {
    detail.append(": ").append(std::generic_category().message(reason));
  }
  return Error{Code::STORE, std::move(detail)};
}

Query::~Query() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

Result<bool> Query::step() {
  switch (sqlite3_step(handle_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return tl::unexpected(database_.error());
  }
}

Result<void> Query::run() {
  return step().map([](bool) {});
}

// A parameter that cannot be bound is a fault of ours or lack of memory, and reads as NULL, which
// equals nothing.
void Query::bind(std::int64_t value) { sqlite3_bind_int64(handle_, ++bound_, value); }

void Query::bind(std::string_view value) {
  const char* const data = value.empty() ? "" : value.data();  // a null pointer would be NULL
  sqlite3_bind_text64(handle_, ++bound_, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void Query::bind(Bytes value) {
  sqlite3_bind_blob64(handle_, ++bound_, value.data(), value.size(), SQLITE_TRANSIENT);
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(handle_, column); }

std::optional<std::int64_t> Query::optional_integer(int column) const {
  if (sqlite3_column_type(handle_, column) == SQLITE_NULL) return std::nullopt;
  return integer(column);
}

std::string Query::text(int column) const { return blob(column); }

std::string Query::blob(int column) const {
  const void* const data = sqlite3_column_blob(handle_, column);  // before its size is asked for
  const int size = sqlite3_column_bytes(handle_, column);
  return data == nullptr
             ? std::string()
             : std::string(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

}  // namespace leat::store
