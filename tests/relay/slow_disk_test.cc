// A disk that does not answer holds up no visitor of a relay.
#include "support/slow_disk.h"

#include <gtest/gtest.h>

#include "relay/world.h"
#include "store/sqlite.h"

namespace leat::relay {
namespace {

class SlowDisk : public World {
 protected:
  void configure(Options& options) override {
    options.connection_days = std::chrono::days(0);  // whose log has a thread as well
  }
  void TearDown() override { test::stand_still(false); }
};

TEST_F(SlowDisk, CheckpointsHoldUpNobody) {
  const auto agent = online({http()});
  answer_all(*agent, kHello);
  auto database = store::Database::open(dir / "leat.db");
  ASSERT_TRUE(database) << database.error().text();
  const auto filled = database->run(
      "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF; CREATE TABLE filler (bytes BLOB);"
      "INSERT INTO filler VALUES (randomblob(6000000))");
  ASSERT_TRUE(filled) << filled.error().text();
  test::watch_disk();
  test::stand_still(true);
  expect_served();  // and written down half a second later, to a log that is due
  for (int i = 0; i < 400 && test::waits_elsewhere() == 0; ++i) pass(std::chrono::milliseconds(50));
  ASSERT_GT(test::waits_elsewhere(), 0);
  expect_served();
  pass(std::chrono::milliseconds(600));
  EXPECT_EQ(test::waits_here(), 0);
}

}  // namespace
}  // namespace leat::relay
