#include "agent/service_pool.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/tls_fixture.h"

namespace leat::agent {
namespace {

using std::chrono::milliseconds;

class Pool : public ::testing::Test {
 protected:
  net::Loop loop;
  // The service's ends, in the order they were made.
  std::vector<std::unique_ptr<net::Talker>> service;

  std::unique_ptr<ServiceConnection> connect() {
    net::TcpPair pair = net::tcp_pair();
    service.push_back(std::make_unique<net::Talker>(
        loop, net::make_plain_transport(loop.shard, pair.server.release()),
        static_cast<unsigned>(service.size())));
    return std::make_unique<ServiceConnection>(
        net::make_plain_transport(loop.shard, pair.client.release()));
  }
  bool closed(std::size_t which) {
    return loop.run([&] { return service[which]->ended || service[which]->failed; });
  }
  // The pool has noticed, of which it tells nobody.
  bool until_idle(std::size_t count) {
    net::Timer look(loop.shard, [&] {
      loop.poke();
      look.arm_in(milliseconds(1));
    });
    look.arm_in(Duration(0));
    return loop.run([&] { return pool.idle() == count; });
  }

  ServicePool pool{loop.shard, std::chrono::hours(1)};
};

TEST_F(Pool, GivesBackTheOneUsedLast) {
  EXPECT_EQ(pool.take(), nullptr);
  auto first = connect(), second = connect();
  const ServiceConnection* const last = second.get();
  EXPECT_FALSE(first->reused);
  pool.put(std::move(first));
  pool.put(std::move(second));
  const auto taken = pool.take();
  EXPECT_EQ(taken.get(), last);
  EXPECT_TRUE(taken->reused);
  EXPECT_EQ(pool.idle(), 1u);
}

TEST_F(Pool, ClosesWhatWasIdleForTooLongPolitely) {
  ServicePool brief(loop.shard, milliseconds(20));
  const Time before = loop.shard.now();
  brief.put(connect());
  brief.put(connect());
  ASSERT_TRUE(closed(0) && closed(1));
  EXPECT_TRUE(service[0]->ended && service[1]->ended) << "FIN, not RST";
  EXPECT_GE(loop.shard.now() - before, milliseconds(20));
  EXPECT_EQ(brief.idle(), 0u);
}

TEST_F(Pool, DropsAtOnceWhatTheServiceCloses) {
  pool.put(connect());
  service[0]->transport->finish();
  EXPECT_TRUE(until_idle(0));
}

TEST_F(Pool, DropsAtOnceWhatTheServiceCuts) {
  pool.put(connect());
  service[0]->transport->abort();
  EXPECT_TRUE(until_idle(0));
}

TEST_F(Pool, DropsAtOnceWhatSpeaksUnasked) {
  pool.put(connect());
  pool.put(connect());
  service[0]->send("HTTP/1.1 408 Request Timeout\r\n\r\n", false);
  EXPECT_TRUE(until_idle(1));
  EXPECT_TRUE(closed(0));
}

TEST_F(Pool, HoldsNoMoreThanItsLimit) {
  for (std::size_t i = 0; i <= limits::kServicePool; ++i) pool.put(connect());
  EXPECT_EQ(pool.idle(), limits::kServicePool);
  ASSERT_TRUE(closed(0));
  EXPECT_FALSE(service[1]->ended);
}

}  // namespace
}  // namespace leat::agent
