// How long nothing may move in an exchange with a tunnel whose agent asked for no times: five
// minutes before the answer begins, ten in it, and never a time for the whole.
#include <gtest/gtest.h>

#include "relay/world.h"
#include "support/leaping_clock.h"

namespace leat::relay {
namespace {

using namespace std::chrono_literals;

class IdleTimes : public World {
 protected:
  // In steps in which everybody can give the signs of life that others wait for.
  void wait(std::chrono::seconds time) {
    net::Timer overdue(loop.shard, [] {});
    for (auto left = time; left > 0s; left -= 1s) {
      test::leap(1s);
      overdue.arm(Time());  // what has come due meanwhile fires with it
      pass(3ms);
    }
  }
};

TEST_F(IdleTimes, FiveMinutesForTheFirstByte) {
  const auto agent = online({http()});
  const auto guest = visitor();
  guest->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return agent->streams.size() == 1; }));
  wait(5min - 5s);
  ASSERT_FALSE(agent->ended()) << agent->why().text();
  EXPECT_EQ(guest->text(), "");
  EXPECT_FALSE(guest->over());
  wait(10s);
  EXPECT_TRUE(until([&] { return guest->has("HTTP/1.1 504 "); })) << guest->text();
}

TEST_F(IdleTimes, TenMinutesInAnAnswerAndAnotherTenAfterEachByte) {
  const auto agent = online({http()});
  const auto guest = visitor();
  guest->get("/tunnel/web/");
  ASSERT_TRUE(until([&] { return agent->streams.size() == 1; }));
  agent->streams[0]->reply().send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na");
  ASSERT_TRUE(until([&] { return guest->has("\r\n\r\na"); }));
  for (const char* const next : {"b", "c"}) {
    wait(10min - 5s);
    ASSERT_FALSE(guest->over());
    agent->streams[0]->send(next);
    ASSERT_TRUE(until([&] { return guest->body().ends_with(next); }));
  }
  wait(10min + 5s);
  EXPECT_TRUE(until([&] { return guest->over(); }));
  EXPECT_FALSE(guest->ended()) << "an answer that was cut looks like a whole one";
  EXPECT_EQ(guest->body(), "abc");
}

}  // namespace
}  // namespace leat::relay
