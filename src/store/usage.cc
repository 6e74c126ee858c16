// What owners have used, by day and month.
#include "store/sqlite_store.h"

namespace leat::store {

Result<Usage> SqliteStore::usage(std::string_view owner, std::string_view period) {
  Query query(database_, find_usage_, owner, period);
  const auto row = query.step();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return Usage{};
  return Usage{static_cast<std::uint64_t>(query.integer(0)),
               static_cast<std::uint64_t>(query.integer(1)),
               static_cast<std::uint64_t>(query.integer(2))};
}

Result<std::vector<UsageRow>> SqliteStore::usages(std::string_view owner, std::string_view since) {
  std::vector<UsageRow> all;
  Query query(database_, list_usage_, owner, since, kUsageRows);
  auto row = query.step();
  for (; row && *row; row = query.step()) {
    all.push_back({query.text(0),
                   query.text(1),
                   {static_cast<std::uint64_t>(query.integer(2)),
                    static_cast<std::uint64_t>(query.integer(3)),
                    static_cast<std::uint64_t>(query.integer(4))}});
  }
  if (!row) return tl::unexpected(row.error());
  return all;
}

Result<void> SqliteStore::forget_days(std::string_view before) {
  return Query(database_, forget_usage_, before).run();
}

Result<std::int64_t> SqliteStore::bucket(std::string_view owner) {
  Query query(database_, find_bucket_, owner);
  const auto row = query.step();
  if (!row) return tl::unexpected(row.error());
  return *row ? query.integer(0) : 0;
}

// A relay's traffic waits with this, so it waits for no disk (synchronous = NORMAL, Checkpointer)
// and for no other process: what could not be written is settled the next time.
Result<void> SqliteStore::settle(const std::vector<UsageRow>& added,
                                 const std::vector<Bucket>& buckets) {
  database_.set_patience({});
  Result<void> done = database_.run("BEGIN IMMEDIATE");
  const bool begun = done.has_value();
  for (auto row = added.begin(); done && row != added.end(); ++row) {
    done = Query(database_, add_usage_, row->owner, row->period,
                 static_cast<std::int64_t>(row->usage.bytes_in),
                 static_cast<std::int64_t>(row->usage.bytes_out),
                 static_cast<std::int64_t>(row->usage.requests))
               .run();
  }
  for (auto each = buckets.begin(); done && each != buckets.end(); ++each) {
    done = Query(database_, put_bucket_, each->owner, each->settled).run();
  }
  if (done) done = database_.run("COMMIT");
  if (!done && begun) (void)database_.run("ROLLBACK");
  database_.set_patience(patience_);
  return done;
}

}  // namespace leat::store
