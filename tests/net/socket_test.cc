#include "net/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/socket_address.h"

namespace leat::net {
namespace {

using namespace std::chrono_literals;

const HostPort kAnyPort{"127.0.0.1", 0};

std::unique_ptr<Dial> dial_into(Loop& loop, const HostPort& to, std::optional<Result<Fd>>& result,
                                Duration timeout = 10s) {
  return Dial::start(loop.shard, to, timeout, [&loop, &result](Result<Fd> fd) {
    result = std::move(fd);
    loop.poke();
  });
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(fd, level, name, &value, &size);
  return value;
}

// A port on which nobody listens; held, so that nobody else takes it.
struct ClosedPort {
  ClosedPort() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof in;
    auto* const generic = reinterpret_cast<sockaddr*>(&in);
    EXPECT_EQ(::bind(fd.get(), generic, size), 0);
    EXPECT_EQ(::getsockname(fd.get(), generic, &size), 0);
    address = {"127.0.0.1", ntohs(in.sin_port)};
  }
  Fd fd;
  HostPort address;
};

TEST(Listener, HandsOverWhatDialConnects) {
  Loop loop;
  std::vector<Fd> accepted;
  auto listener = Listener::open(loop.shard, kAnyPort, [&](Fd fd) {
    accepted.push_back(std::move(fd));
    loop.poke();
  });
  ASSERT_TRUE(listener) << listener.error().text();
  const HostPort address = (*listener)->address();
  EXPECT_EQ(address.host, "127.0.0.1");
  EXPECT_NE(address.port, 0);

  std::optional<Result<Fd>> numeric, named;
  const auto one = dial_into(loop, address, numeric);
  const auto two = dial_into(loop, {"localhost", address.port}, named);
  EXPECT_FALSE(numeric || named);  // never from inside start()
  ASSERT_TRUE(loop.run([&] { return numeric && named && accepted.size() == 2; }));
  for (const auto* result : {&numeric, &named}) {
    ASSERT_TRUE(result->value()) << result->value().error().text();
    const int fd = result->value()->get();
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
  for (const Fd& fd : accepted) {
    EXPECT_EQ(option(fd.get(), IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_NE(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST(Listener, TakesMoreConnectionsThanOneWakeAccepts) {
  Loop loop;
  std::vector<Fd> accepted, dialled;
  auto listener = Listener::open(loop.shard, kAnyPort, [&](Fd fd) {
    accepted.push_back(std::move(fd));
    loop.poke();
  });
  ASSERT_TRUE(listener);
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  in.sin_port = htons((*listener)->address().port);
  for (int i = 0; i < 200; ++i) {  // all of them wait in the queue before the shard runs
    dialled.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(dialled.back().get(), reinterpret_cast<sockaddr*>(&in), sizeof in), 0);
  }
  EXPECT_TRUE(loop.run([&] { return accepted.size() == 200; }));
}

TEST(Listener, RefusesAnAddressThatIsTakenOrNotOurs) {
  Loop loop;
  auto first = Listener::open(loop.shard, kAnyPort, [](Fd) {});
  ASSERT_TRUE(first);
  const HostPort taken = (*first)->address();
  const auto second = Listener::open(loop.shard, taken, [](Fd) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::LISTEN);
  EXPECT_EQ(second.error().detail, taken.text() + ": Address already in use");
  const auto foreign = Listener::open(loop.shard, {"192.0.2.1", 0}, [](Fd) {});  // TEST-NET-1
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Code::LISTEN);
  const auto nonsense = Listener::open(loop.shard, {"no-such-name.invalid", 0}, [](Fd) {});
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().code, Code::LISTEN);
}

// In a process of its own, whose descriptors it uses up.
int accept_without_descriptors() {
  Loop loop;
  int accepted = 0;
  auto listener = Listener::open(loop.shard, kAnyPort, [&](Fd) {
    ++accepted;
    loop.poke();
  });
  if (!listener) return 10;
  std::optional<Result<Fd>> result;
  const auto dial = dial_into(loop, (*listener)->address(), result);
  if (!loop.run([&] { return result && accepted == 1; }) || !*result) return 11;

  // Room for exactly one more: the next dial's socket takes it, and accept finds none.
  const Fd probe(::dup(0));
  rlimit before_all{};
  ::getrlimit(RLIMIT_NOFILE, &before_all);
  const rlimit limit{static_cast<rlim_t>(probe.get()) + 1, before_all.rlim_max};
  const_cast<Fd&>(probe).reset();
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 12;
  std::optional<Result<Fd>> second;
  const auto starved = dial_into(loop, (*listener)->address(), second);
  if (!loop.run([&] { return second.has_value(); }) || !*second) return 13;

  // Out of descriptors for 700 ms: not accepted, and next to no processor time used.
  tms before{}, after{};
  ::times(&before);
  Timer relief(loop.shard, [&] { loop.shard.stop(); });
  relief.arm_in(700ms);
  loop.shard.run();
  ::times(&after);
  if (accepted != 1) return 14;
  const long ticks = (after.tms_utime + after.tms_stime) - (before.tms_utime + before.tms_stime);
  if (ticks > ::sysconf(_SC_CLK_TCK) / 5) return 15;

  // Relief: accepted within a second.
  result.reset();
  const Time relieved = std::chrono::steady_clock::now();
  if (!loop.run([&] { return accepted == 2; })) return 16;
  const bool soon = std::chrono::steady_clock::now() - relieved < 1s;
  // What follows are destructors, whose checks under sanitizers need descriptors themselves.
  ::setrlimit(RLIMIT_NOFILE, &before_all);
  return soon ? 0 : 17;
}

TEST(Listener, ResumesAfterTheDescriptorsRanOut) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(accept_without_descriptors());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Dial, RefusedNamesTheAddress) {
  Loop loop;
  const ClosedPort closed;
  std::optional<Result<Fd>> result;
  const auto dial = dial_into(loop, closed.address, result);
  ASSERT_TRUE(loop.run([&] { return result.has_value(); }));
  ASSERT_FALSE(*result);
  EXPECT_EQ(result->error().code, Code::SERVICE_REFUSED);
  EXPECT_EQ(result->error().detail, closed.address.text() + ": Connection refused");
}

TEST(Dial, NameThatDoesNotResolveIsUnreachable) {
  Loop loop;
  std::optional<Result<Fd>> result;
  const auto dial = dial_into(loop, {"no-such-name.invalid", 80}, result);
  ASSERT_TRUE(loop.run([&] { return result.has_value(); }));
  ASSERT_FALSE(*result);
  EXPECT_EQ(result->error().code, Code::SERVICE_UNREACHABLE);
  EXPECT_EQ(result->error().detail.rfind("no-such-name.invalid:80: ", 0), 0u);
}

// A listener whose queue is full drops every further SYN.
struct FullListener {
  FullListener() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof in;
    auto* const generic = reinterpret_cast<sockaddr*>(&in);
    EXPECT_EQ(::bind(fd.get(), generic, size), 0);
    EXPECT_EQ(::listen(fd.get(), 0), 0);
    EXPECT_EQ(::getsockname(fd.get(), generic, &size), 0);
    address = {"127.0.0.1", ntohs(in.sin_port)};
    filler = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(filler.get(), generic, size), 0);
  }
  Fd fd, filler;
  HostPort address;
};

TEST(Dial, NoAnswerInTimeIsATimeout) {
  Loop loop;
  const FullListener full;
  std::optional<Result<Fd>> result;
  const Time start = std::chrono::steady_clock::now();
  const auto dial = dial_into(loop, full.address, result, 100ms);
  ASSERT_TRUE(loop.run([&] { return result.has_value(); }));
  ASSERT_FALSE(*result);
  EXPECT_EQ(result->error().code, Code::SERVICE_TIMEOUT);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 99ms);
}

TEST(Dial, DestroyingItCancels) {
  Loop loop;
  const FullListener full;
  const ClosedPort closed;
  std::optional<Result<Fd>> never;
  auto pending = dial_into(loop, full.address, never);
  auto refused = dial_into(loop, closed.address, never);
  auto resolving = dial_into(loop, {"localhost", closed.address.port}, never);
  refused.reset();
  resolving.reset();
  // Long enough for the resolver's answer to find nobody there.
  std::optional<Result<Fd>> other;
  const auto last = dial_into(loop, {"localhost", closed.address.port}, other);
  ASSERT_TRUE(loop.run([&] { return other.has_value(); }));
  pending.reset();
  Timer end(loop.shard, [&] { loop.shard.stop(); });
  end.arm_in(20ms);
  loop.shard.run();
  EXPECT_FALSE(never.has_value());
}

TEST(Dial, MayBeDestroyedByItsCallback) {
  Loop loop;
  const ClosedPort closed;
  const FullListener full;
  auto listener = Listener::open(loop.shard, kAnyPort, [](Fd) {});
  ASSERT_TRUE(listener);
  for (const HostPort& to : {closed.address, full.address, (*listener)->address()}) {
    std::unique_ptr<Dial> dial;
    bool done = false;
    dial = Dial::start(loop.shard, to, 50ms, [&](Result<Fd>) {
      dial.reset();
      done = true;
      loop.poke();
    });
    EXPECT_TRUE(loop.run([&] { return done; })) << to.text();
  }
}

TEST(Backoff, AtOnceThenUpToTwoSecondsThenUpToFifteen) {
  Backoff backoff;
  Time now{1h};
  EXPECT_EQ(backoff.next(now), Duration(0));
  // While the outage is short no delay exceeds two seconds, so that a relay that is back within
  // five is found within two.
  Duration longest{0};
  for (int i = 0; i < 1000; ++i) longest = std::max(longest, backoff.next(now + 4999ms));
  EXPECT_LE(longest, 2s);
  EXPECT_GT(longest, 1900ms);
  // After that it doubles: 4 s, 8 s, 15 s.
  EXPECT_LE(backoff.next(now + 5s), 4s);
  EXPECT_LE(backoff.next(now + 6s), 8s);
  longest = Duration(0);
  Duration sum{0};
  for (int i = 0; i < 10'000; ++i) {
    const Duration delay = backoff.next(now + 60s);
    longest = std::max(longest, delay);
    sum += delay;
  }
  EXPECT_LE(longest, 15s);
  EXPECT_GT(longest, 14500ms);
  EXPECT_NEAR(std::chrono::duration<double>(sum / 10'000).count(), 7.5, 0.25);  // full jitter

  backoff.succeeded();
  EXPECT_EQ(backoff.next(now + 3600s), Duration(0));
  EXPECT_LE(backoff.next(now + 3600s), 250ms);
  EXPECT_LE(backoff.next(now + 3600s), 500ms);
}

// The longest of many delays, had the backoff been asked for one now.
Duration longest_of(const Backoff& backoff, Time now) {
  Duration longest{0};
  for (int i = 0; i < 1000; ++i) longest = std::max(longest, Backoff(backoff).next(now));
  return longest;
}

TEST(Backoff, AShortConnectionAfterALongOutageIsFollowedByShortWaits) {
  Backoff backoff;
  Time now{1h};
  for (int i = 0; i < 20; ++i) backoff.next(now + i * 5s);
  now += 100s;
  ASSERT_GT(longest_of(backoff, now), 14s) << "a long outage";
  backoff.lived(300ms, Backoff::End::cut, now);
  EXPECT_GT(longest_of(backoff, now), Duration(0)) << "not at once";
  EXPECT_LE(longest_of(backoff, now), 250ms);
  // The outage is young again: no wait above two seconds until it is five seconds old.
  for (int i = 0; i < 10; ++i) backoff.next(now + 1s);
  EXPECT_GT(longest_of(backoff, now + 4s), 1900ms);
  EXPECT_LE(longest_of(backoff, now + 4s), 2s);
}

TEST(Backoff, WhoeverThrowsEverybodyOutIsNotHammered) {
  Backoff backoff;
  Time now{1h};
  int tries = 0;
  for (const Time end = now + 600s; now < end; ++tries) {
    now += backoff.next(now) + 1s;  // each connection lives for a second
    backoff.lived(1s, Backoff::End::closed, now);
  }
  EXPECT_LT(tries, 120) << "in ten minutes";
  backoff.lived(5s, Backoff::End::closed, now);
  EXPECT_EQ(backoff.next(now), Duration(0)) << "one that lasted earns a try at once";
}

TEST(Backoff, WhoeverIsKilledAgainAndAgainIsFoundWithinTwoSecondsTwentyTimes) {
  Backoff backoff;
  Time now{1h};
  int tries = 0;
  for (const Time end = now + 600s; now < end; ++tries) {
    if (tries > 0) {
      EXPECT_GT(longest_of(backoff, now), Duration(0)) << "not at once again and again";
    }
    if (tries < 20) {
      EXPECT_LE(longest_of(backoff, now + 4999ms), 2s);
      EXPECT_LE(longest_of(backoff, now), 2s);
    }
    now += backoff.next(now) + 100ms;  // each connection lives so long
    backoff.lived(100ms, Backoff::End::cut, now);
  }
  EXPECT_GT(longest_of(backoff, now), 14s) << "it may die of all who come back";
  EXPECT_LT(tries, 150) << "in ten minutes: about one in 7.6 s in the end";
  // What stays away is asked seldom all the same.
  backoff.next(now);
  backoff.next(now + 6s);
  EXPECT_GT(longest_of(backoff, now + 20s), 5s);
}

TEST(Backoff, AShortFirstConnectionIsTriedAgainAtOnce) {
  Backoff backoff;
  backoff.lived(10ms, Backoff::End::cut, Time{1h});
  EXPECT_EQ(backoff.next(Time{1h}), Duration(0));
  EXPECT_LE(backoff.next(Time{1h}), 250ms);
}

TEST(Fd, ClosesOnceAndMoves) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const Fd other(pipe[1]);
  Fd a(pipe[0]);
  Fd b(std::move(a));
  EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): what a move leaves is the point
  EXPECT_EQ(b.get(), pipe[0]);
  a = std::move(b);
  EXPECT_EQ(a.get(), pipe[0]);
  a.reset();
  EXPECT_EQ(::fcntl(pipe[0], F_GETFD), -1);
}

TEST(SocketAddress, AsPeopleReadIt) {
  for (const HostPort& address :
       {HostPort{"192.0.2.7", 80}, HostPort{"2001:db8::1", 443}, HostPort{"::1", 65535}}) {
    const auto numeric = SocketAddress::numeric(address);
    ASSERT_TRUE(numeric) << address.text();
    EXPECT_EQ(numeric->host_port(), address);
  }
  // What a socket on [::] shows of an IPv4 peer.
  EXPECT_EQ(SocketAddress::numeric({"::ffff:192.0.2.7", 80})->host_port(),
            (HostPort{"192.0.2.7", 80}));
  EXPECT_FALSE(SocketAddress::numeric({"localhost", 80}));
  EXPECT_FALSE(SocketAddress::numeric({"", 80}));
}

}  // namespace
}  // namespace leat::net
