// What an idle TLS connection costs the relay, with the clients in a process of their own.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "net/ring.h"
#include "net/tls_fixture.h"

namespace leat::net {
namespace {

#ifdef LEAT_SANITIZED
constexpr std::size_t kConnections = 200;
#else
constexpr std::size_t kConnections = 5000;
#endif

struct Counter final : TransportOwner {
  Counter(Loop& l, std::size_t& e, std::unique_ptr<Transport> t)
      : loop(l), established(e), transport(std::move(t)) {
    transport->set_owner(this);
  }
  void on_transport() override {
    std::uint8_t byte = 0;
    const IoStatus status = transport->read({&byte, 1}).status;
    if (status == IoStatus::ok) ++established;  // the client's greeting
    loop.poke();
  }
  Loop& loop;
  std::size_t& established;
  std::unique_ptr<Transport> transport;
};

// Opens the connections, says one byte on each, and stays until `hold` ends.
int be_clients(const HostPort& address, const TlsContext& context, Fd hold) {
  Loop loop;
  std::vector<std::unique_ptr<Dial>> dials;
  std::vector<std::unique_ptr<Talker>> clients;
  std::size_t opened = 0;
  while (clients.size() < kConnections) {
    const std::size_t batch = std::min<std::size_t>(100, kConnections - clients.size());
    for (std::size_t i = 0; i < batch; ++i) {
      dials.push_back(
          Dial::start(loop.shard, address, std::chrono::seconds(20), [&](Result<Fd> fd) {
            if (!fd) ::_exit(10);
            clients.push_back(std::make_unique<Talker>(
                loop, make_tls_transport(loop.shard, fd->release(), context, "relay.test"), 1));
            clients.back()->send("x", false);
            loop.poke();
          }));
    }
    opened += batch;
    const bool all = loop.run([&] {
      if (clients.size() < opened) return false;
      for (std::size_t i = opened - batch; i < opened; ++i) {
        if (clients[i]->sent == 0) return false;
      }
      return true;
    });
    if (!all) return 11;
    dials.clear();
  }
  Talker waiting(loop, make_plain_transport(loop.shard, hold.release()), 1);
  if (!loop.run([&] { return waiting.ended; }, std::chrono::seconds(60))) return 12;
  return 0;
}

std::size_t resident() {
  std::size_t pages = 0, all = 0;
  FILE* const statm = std::fopen("/proc/self/statm", "r");
  if (statm == nullptr || std::fscanf(statm, "%zu %zu", &all, &pages) != 2) pages = 0;
  if (statm != nullptr) std::fclose(statm);
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(IdleTls, CostsItsSslAndNoRing) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ASSERT_GT(limit.rlim_cur, kConnections + 100) << "raise the limit of open files";

  const Identity identity;
  const TlsContext server_context = identity.server();
  Loop loop;
  std::size_t established = 0;
  std::vector<std::unique_ptr<Counter>> connections;
  connections.reserve(kConnections);
  auto listener = Listener::open(loop.shard, {"127.0.0.1", 0}, [&](Fd fd) {
    connections.push_back(std::make_unique<Counter>(
        loop, established, make_tls_transport(loop.shard, fd.release(), server_context, "")));
  });
  ASSERT_TRUE(listener);

  int hold[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, hold), 0);
  Fd ours(hold[0]), theirs(hold[1]);
  [[maybe_unused]] const std::size_t heap_before = ::mallinfo2().uordblks;
  [[maybe_unused]] const std::size_t resident_before = resident();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ours.reset();
    ::_exit(be_clients((*listener)->address(), identity.client(), std::move(theirs)));
  }
  theirs.reset();
  ASSERT_TRUE(loop.run([&] { return established == kConnections; }, std::chrono::seconds(100)));
  EXPECT_EQ(loop.shard.rings().in_use(), 0u);

#ifndef LEAT_SANITIZED  // whose own allocators answer neither question
  const std::size_t heap = ::mallinfo2().uordblks - heap_before;
  std::printf("%zu idle connections: %zu bytes of heap each, %zu bytes resident each\n",
              kConnections, heap / kConnections, (resident() - resident_before) / kConnections);
  EXPECT_LT(heap / kConnections, 16u * 1024);
#endif
  ours.reset();
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace leat::net
