// Names whose servers do not answer. getaddrinfo() is this file's own here, and waits for as long
// as a test wants it to where a name begins with "dead".
#include "net/resolver.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "net/loop.h"
#include "net/socket.h"

namespace {

using namespace std::chrono_literals;

struct Servers {
  std::mutex mutex;
  std::condition_variable changed;
  bool answering = false;
  std::map<std::string, int> asked;
  int waiting = 0, most = 0;
};
Servers servers;

}  // namespace

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  using Real = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<Real>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  const bool looks = name != nullptr && (hints->ai_flags & AI_NUMERICHOST) == 0;
  const bool dead = looks && std::string_view(name).starts_with("dead");
  if (!dead) return real(name, service, hints, result);
  std::unique_lock lock(servers.mutex);
  ++servers.asked[name];
  servers.most = std::max(servers.most, ++servers.waiting);
  servers.changed.notify_all();
  servers.changed.wait_for(lock, 30s, [] { return servers.answering; });
  --servers.waiting;
  servers.changed.notify_all();
  return EAI_AGAIN;
}

namespace leat::net {
namespace {

// Each test asks for names of its own: what another asked for may still be under way.
class Names : public ::testing::Test {
 protected:
  struct Try {
    std::unique_ptr<Dial> dial;
    std::optional<Result<Fd>> result;
  };

  void SetUp() override {
    servers.answering = false;
    servers.asked.clear();
    servers.most = 0;
  }
  // The servers are back, and nobody waits for them any more.
  void TearDown() override {
    std::unique_lock lock(servers.mutex);
    servers.answering = true;
    servers.changed.notify_all();
    ASSERT_TRUE(servers.changed.wait_for(lock, 20s, [] { return servers.waiting == 0; }));
  }
  static std::unique_ptr<Try> dial(Loop& loop, const HostPort& to, Duration timeout = 20s) {
    auto made = std::make_unique<Try>();
    made->dial = Dial::start(loop.shard, to, timeout, [&loop, to = made.get()](Result<Fd> fd) {
      to->result = std::move(fd);
      loop.poke();
    });
    return made;
  }
  static void await_lookups(int n) {
    std::unique_lock lock(servers.mutex);
    ASSERT_TRUE(servers.changed.wait_for(lock, 20s, [n] { return servers.waiting == n; }));
  }
};

TEST_F(Names, OneWithoutAnAnswerDelaysNoOther) {
  Loop loop;
  const auto listener = Listener::open(loop.shard, {"127.0.0.1", 0}, [](Fd) {}).value();
  const auto dead = dial(loop, {"dead-one.test", 80});
  await_lookups(1);
  const auto good = dial(loop, {"localhost", listener->address().port}, 5s);
  ASSERT_TRUE(loop.run([&] { return good->result.has_value(); }));
  EXPECT_TRUE(*good->result) << good->result->error().detail;
  EXPECT_FALSE(dead->result);
}

TEST_F(Names, TheEndOfAShardWaitsForNone) {
  {
    Loop loop;
    const auto dead = dial(loop, {"dead-end.test", 80});
    await_lookups(1);
  }
  const std::lock_guard lock(servers.mutex);
  EXPECT_EQ(servers.waiting, 1) << "somebody waited for the answer";
}

TEST_F(Names, OneIsLookedUpOnceAtATimeHoweverManyAsk) {
  Loop loop;
  const auto first = dial(loop, {"dead-once.test", 80});
  await_lookups(1);
  std::vector<std::unique_ptr<Try>> tries;
  for (int i = 0; i < 50; ++i) tries.push_back(dial(loop, {"dead-once.test", 80}, 50ms));
  ASSERT_TRUE(loop.run([&] {
    return std::ranges::all_of(tries, [](const auto& each) { return each->result.has_value(); });
  }));
  for (const auto& each : tries) EXPECT_EQ(each->result->error().code, Code::SERVICE_TIMEOUT);
  const auto late = dial(loop, {"dead-once.test", 80});
  {
    const std::lock_guard lock(servers.mutex);
    EXPECT_EQ(servers.asked["dead-once.test"], 1);
    servers.answering = true;
    servers.changed.notify_all();
  }
  ASSERT_TRUE(loop.run([&] { return late->result.has_value(); }));
  EXPECT_EQ(late->result->error().code, Code::SERVICE_UNREACHABLE);
}

TEST_F(Names, ThreadsAreBounded) {
  Loop loop;
  std::vector<std::unique_ptr<Try>> tries;
  for (std::size_t i = 0; i < 2 * limits::kLookups; ++i) {
    tries.push_back(dial(loop, {"dead-many-" + std::to_string(i) + ".test", 80}));
  }
  await_lookups(static_cast<int>(limits::kLookups));
  tries.resize(limits::kLookups + 1);  // what nobody waits for is not looked up
  {
    const std::lock_guard lock(servers.mutex);
    servers.answering = true;
    servers.changed.notify_all();
  }
  ASSERT_TRUE(loop.run([&] {
    return std::ranges::all_of(tries, [](const auto& each) { return each->result.has_value(); });
  }));
  const std::lock_guard lock(servers.mutex);
  EXPECT_EQ(servers.most, static_cast<int>(limits::kLookups));
  EXPECT_EQ(servers.asked.size(), limits::kLookups + 1);
}

}  // namespace
}  // namespace leat::net
