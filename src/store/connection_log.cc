#include "store/connection_log.h"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include "base/file.h"
#include "store/sqlite.h"

namespace leat::store {
namespace {

constexpr auto kWriteEvery = std::chrono::seconds(1);
constexpr auto kPruneEvery = std::chrono::minutes(1);
constexpr std::int64_t kPruneAtOnce = 1000;        // rows in one transaction
constexpr std::size_t kBatch = 1000;               // rows that are written without waiting longer
constexpr std::int64_t kLookedAt = 2'000;          // rows, by one find(): some milliseconds
constexpr std::int64_t kApplication = 0x6c65616c;  // "leal"
constexpr auto kPatience = std::chrono::milliseconds(100);

constexpr char kSchema[] = R"(
  CREATE TABLE connection (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    began INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    first_byte INTEGER,
    request_id TEXT NOT NULL,
    tunnel TEXT NOT NULL,
    owner TEXT NOT NULL,
    address TEXT NOT NULL,
    kind TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL
  ) STRICT;
  PRAGMA application_id = 0x6c65616c;
  PRAGMA user_version = 1;
)";

std::int64_t milliseconds(Milliseconds time) { return time.time_since_epoch().count(); }

// For LIKE … ESCAPE '\'.
std::string anywhere(std::string_view text) {
  std::string out = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') out += '\\';
    out += c;
  }
  return out + "%";
}

Result<Database> open_log(const std::string& path) {
  auto database = Database::open(path);
  if (!database) return database;
  database->set_patience(kPatience);
  auto done = database->run(
      "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
      "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON");
  if (!done) return tl::unexpected(done.error());
  const auto tables = database->number("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tl::unexpected(tables.error());
  if (*tables == 0) {
    done = database->run("BEGIN IMMEDIATE");
    if (done) done = database->run(kSchema);
    if (done) done = database->run("COMMIT");
    if (!done) return tl::unexpected(done.error());
    return database;
  }
  const auto application = database->number("PRAGMA application_id");
  const auto version = database->number("PRAGMA user_version");
  if (!application) return tl::unexpected(application.error());
  if (!version) return tl::unexpected(version.error());
  if (*application != kApplication || *version != 1) {
    return fail(Code::STORE, path + ": is no connection log of this version; it may be removed");
  }
  return database;
}

// The thread's part: a connection to the database of its own.
class Writer {
 public:
  Writer(Database database, ConnectionLog::Retention retention)
      : database_(std::move(database)), retention_(retention) {}

  Result<void> prepare() {
    auto insert = database_.prepare(
        "INSERT INTO connection (began, duration, first_byte, request_id, tunnel, owner, address,"
        " kind, method, path, status, reason, bytes_in, bytes_out) VALUES"
        " (?1, ?2, nullif(?3, -1), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)");
    if (!insert) return tl::unexpected(insert.error());
    // Old ones, and those beyond the number; ids have no gaps but where rows went before.
    auto prune = database_.prepare(
        "DELETE FROM connection WHERE id IN (SELECT id FROM connection WHERE began + duration < ?1"
        " OR id <= (SELECT max(id) FROM connection) - ?2 ORDER BY id LIMIT ?3)");
    if (!prune) return tl::unexpected(prune.error());
    insert_ = std::move(*insert);
    prune_ = std::move(*prune);
    return {};
  }

  // All of them or none.
  Result<void> write(const std::vector<Connection>& rows) {
    Result<void> done = database_.run("BEGIN IMMEDIATE");
    const bool begun = done.has_value();
    for (auto row = rows.begin(); done && row != rows.end(); ++row) done = insert(*row);
    if (done) done = database_.run("COMMIT");
    if (!done && begun) (void)database_.run("ROLLBACK");
    return done;
  }

  // A part of what is to go; true: there may be more.
  Result<bool> prune() {
    const auto oldest = std::chrono::floor<std::chrono::milliseconds>(
        std::chrono::system_clock::now() - retention_.days);
    Query query(database_, prune_, milliseconds(oldest), static_cast<std::int64_t>(retention_.rows),
                kPruneAtOnce);
    if (const auto done = query.run(); !done) return tl::unexpected(done.error());
    const bool more = database_.rows_changed() == kPruneAtOnce;
    if (!more) (void)database_.run("PRAGMA incremental_vacuum(1000)");
    return more;
  }

 private:
  Result<void> insert(const Connection& row) {
    return Query(database_, insert_, milliseconds(row.began), std::int64_t{row.duration.count()},
                 std::int64_t{row.first_byte ? row.first_byte->count() : -1}, row.request_id,
                 row.tunnel, row.owner, row.address, row.kind, row.method, row.path,
                 std::int64_t{row.status}, row.reason, static_cast<std::int64_t>(row.bytes_in),
                 static_cast<std::int64_t>(row.bytes_out))
        .run();
  }

  Database database_;
  const ConnectionLog::Retention retention_;
  Statement insert_, prune_;
};

class SqliteConnectionLog final : public ConnectionLog {
 public:
  SqliteConnectionLog(Database reader, Writer writer)
      : reader_(std::move(reader)), writer_(std::move(writer)) {}
  ~SqliteConnectionLog() override {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  Result<void> start() {
    auto find = reader_.prepare(
        "SELECT id, began, duration, first_byte, request_id, tunnel, owner, address, kind, method,"
        " path, status, reason, bytes_in, bytes_out FROM connection"
        " WHERE id < ?1 AND id >= ?1 - ?2"
        " AND (?3 = '' OR tunnel = ?3) AND (?4 = '' OR substr(address, 1, length(?4)) = ?4)"
        " AND began >= ?5 AND began < ?6"
        " AND (?7 = '%%' OR request_id LIKE ?7 ESCAPE '\\' OR tunnel LIKE ?7 ESCAPE '\\'"
        "  OR owner LIKE ?7 ESCAPE '\\' OR address LIKE ?7 ESCAPE '\\' OR kind LIKE ?7 ESCAPE '\\'"
        "  OR method || ' ' || path LIKE ?7 ESCAPE '\\' OR reason LIKE ?7 ESCAPE '\\'"
        "  OR status LIKE ?7 ESCAPE '\\')"
        " ORDER BY id DESC LIMIT ?8");
    if (!find) return tl::unexpected(find.error());
    find_ = std::move(*find);
    if (const auto prepared = writer_.prepare(); !prepared) return prepared;
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void add(Connection connection) override {
    bool full = false;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() >= kWaiting) {
        ++dropped_;
        return;
      }
      waiting_.push_back(std::move(connection));
      full = waiting_.size() == kBatch;
    }
    if (full) wake_.notify_one();
  }

  Result<ConnectionPage> find(const ConnectionQuery& query) override {
    const auto newest = reader_.number("SELECT ifnull(max(id), 0) FROM connection");
    const auto oldest = reader_.number("SELECT ifnull(min(id), 0) FROM connection");
    for (const auto* each : {&newest, &oldest}) {
      if (!*each) return tl::unexpected(each->error());
    }
    const std::int64_t top = query.before > 0 ? std::min(query.before, *newest + 1) : *newest + 1;
    const auto limit =
        static_cast<std::int64_t>(std::clamp<std::size_t>(query.limit, 1, kConnectionPage));
    const std::int64_t since = query.since ? milliseconds(*query.since) : INT64_MIN;
    const std::int64_t until = query.until ? milliseconds(*query.until) : INT64_MAX;
    ConnectionPage page;
    Query rows(reader_, find_, top, kLookedAt, query.tunnel, query.address, since, until,
               anywhere(query.text), limit);
    auto row = rows.step();
    for (; row && *row; row = rows.step()) page.rows.push_back(read(rows));
    if (!row) return tl::unexpected(row.error());
    const bool whole = page.rows.size() == static_cast<std::size_t>(limit);
    const std::int64_t reached = whole ? page.rows.back().id : top - kLookedAt;
    if (reached > *oldest && *oldest > 0) page.next = reached;
    return page;
  }

  void flush() override {
    std::unique_lock lock(mutex_);
    const std::uint64_t round = ++asked_;
    wake_.notify_one();
    done_.wait(lock, [&] { return answered_ >= round; });
  }

  std::uint64_t dropped() const override {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }
  std::optional<Error> failure() const override {
    const std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  static Connection read(const Query& row) {
    Connection out;
    out.id = row.integer(0);
    out.began = Milliseconds(std::chrono::milliseconds(row.integer(1)));
    out.duration = std::chrono::milliseconds(row.integer(2));
    if (const auto first = row.optional_integer(3)) {
      out.first_byte = std::chrono::milliseconds(*first);
    }
    std::string* const texts[] = {&out.request_id, &out.tunnel, &out.owner, &out.address,
                                  &out.kind,       &out.method, &out.path};
    for (int i = 0; i < 7; ++i) *texts[i] = row.text(4 + i);
    out.status = static_cast<int>(row.integer(11));
    out.reason = row.text(12);
    out.bytes_in = static_cast<std::uint64_t>(row.integer(13));
    out.bytes_out = static_cast<std::uint64_t>(row.integer(14));
    return out;
  }

  void run() {
    std::vector<Connection> batch;
    std::optional<std::chrono::steady_clock::time_point> pruned;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait_for(lock, kWriteEvery,
                     [&] { return closing_ || asked_ > answered_ || waiting_.size() >= kBatch; });
      const bool last = closing_;
      const std::uint64_t round = asked_;
      const bool asked = round > answered_;
      batch.swap(waiting_);
      lock.unlock();
      Result<void> done = batch.empty() ? Result<void>() : writer_.write(batch);
      if (done) batch.clear();
      const auto now = std::chrono::steady_clock::now();
      if (done && !last && (asked || !pruned || now - *pruned >= kPruneEvery)) {
        pruned = now;
        done = prune();
      }
      lock.lock();
      keep(batch);
      failure_ = done ? std::nullopt : std::optional(done.error());
      answered_ = round;
      done_.notify_all();
      if (last) return;
      // Where the disk refuses, it is asked once a second.
      if (!done) {
        wake_.wait_for(lock, kWriteEvery, [&] { return closing_ || asked_ > answered_; });
      }
    }
  }

  // A short transaction each, so that it is no long one for whoever reads.
  Result<void> prune() {
    for (;;) {
      const auto more = writer_.prune();
      if (!more) return tl::unexpected(more.error());
      if (!*more) return {};
      const std::lock_guard lock(mutex_);
      if (closing_) return {};
    }
  }

  // With the lock held: what was not written goes back to the front, as far as there is room.
  void keep(std::vector<Connection>& batch) {
    batch.insert(batch.end(), std::make_move_iterator(waiting_.begin()),
                 std::make_move_iterator(waiting_.end()));
    if (batch.size() > kWaiting) {
      dropped_ += batch.size() - kWaiting;
      batch.resize(kWaiting);
    }
    waiting_.swap(batch);
    batch.clear();
  }

  Database reader_;
  Statement find_;
  Writer writer_;

  mutable std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<Connection> waiting_;
  std::uint64_t asked_ = 0, answered_ = 0;  // flushes
  std::uint64_t dropped_ = 0;
  std::optional<Error> failure_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<ConnectionLog>> ConnectionLog::open(const std::string& path,
                                                           Retention retention) {
  if (::access(path.c_str(), F_OK) != 0) {
    if (const auto made = create_file(path, {}, 0600, Code::STORE); !made) {
      return tl::unexpected(made.error());
    }
  }
  auto writer = open_log(path);
  if (!writer) return tl::unexpected(writer.error());
  auto reader = open_log(path);
  if (!reader) return tl::unexpected(reader.error());
  auto log = std::make_unique<SqliteConnectionLog>(std::move(*reader),
                                                   Writer(std::move(*writer), retention));
  if (const auto started = log->start(); !started) return tl::unexpected(started.error());
  return log;
}

}  // namespace leat::store
