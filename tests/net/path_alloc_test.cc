// A byte's whole way, from a service's socket through splice, session, link and TLS to a visitor's
// socket, asks the allocator for nothing once everything has been at its largest. The two ends are
// threads that only read and write.
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>

#include "mux/counting_new.h"
#include "net/session_driver.h"
#include "net/splice.h"
#include "net/tls_fixture.h"

namespace leat::net {
namespace {

using namespace std::chrono_literals;
using leat::test::allocations;

#ifdef LEAT_SANITIZED
constexpr std::uint64_t kWarm = 16 << 20, kMeasured = 32 << 20;
#else
constexpr std::uint64_t kWarm = 128 << 20, kMeasured = 512 << 20;
#endif

struct End final : SessionDriver::Owner, Splice::Owner, TransportOwner {
  End(Loop& l, Fd fd, const TlsContext& context, mux::Role r) : loop(l), role(r) {
    carrier = make_tls_transport(loop.shard, fd.release(), context, "relay.test");
    carrier->set_owner(this);
  }
  void begin() {
    driver = std::make_unique<SessionDriver>(loop.shard, mux::Config::native(role), *this,
                                             std::move(carrier));
    driver->start({});
  }
  void join(mux::StreamHandle stream) {
    splice = std::make_unique<Splice>(*driver, stream,
                                      make_plain_transport(loop.shard, local.release()), "", *this);
    splice->start();
  }
  void on_transport() override { loop.poke(); }
  void on_stream(mux::StreamHandle stream) override { join(stream); }
  void on_ended(const Error& why) override { ADD_FAILURE() << why.text(); }
  void on_splice_end(Splice&, bool) override { ADD_FAILURE() << "the splice ended"; }

  Loop& loop;
  const mux::Role role;
  std::unique_ptr<Transport> carrier;
  Fd local;
  std::unique_ptr<SessionDriver> driver;
  std::unique_ptr<Splice> splice;
};

// Moves bytes by `call` whenever the socket is `ready` for it.
template <typename Call>
std::thread pump(int fd, short ready, const std::atomic<bool>& stop, std::atomic<std::uint64_t>& n,
                 Call call) {
  return std::thread([=, &stop, &n] {
    static thread_local std::array<std::uint8_t, 1 << 16> bytes;
    while (!stop) {
      pollfd item{.fd = fd, .events = ready, .revents = 0};
      if (::poll(&item, 1, 10) != 1) continue;
      if (const ssize_t moved = call(fd, bytes.data(), bytes.size()); moved > 0) {
        n += static_cast<std::uint64_t>(moved);
      }
    }
  });
}

TEST(Path, NoAllocationPerFrame) {
  const Identity identity;
  const TlsContext server = identity.server(), client = identity.client();
  TcpPair carrier = tcp_pair(), visit = tcp_pair(), service = tcp_pair();
  Loop loop;
  End relay(loop, std::move(carrier.server), server, mux::Role::server);
  End agent(loop, std::move(carrier.client), client, mux::Role::client);
  ASSERT_TRUE(
      loop.run([&] { return relay.carrier->established() && agent.carrier->established(); }));
  relay.begin();
  agent.begin();
  relay.local = std::move(visit.server);
  agent.local = std::move(service.client);
  const auto stream = relay.driver->mux().open(loop.shard.now());
  ASSERT_TRUE(stream);
  relay.join(*stream);

  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> sent = 0, received = 0;
  // More is on its way while everything warms up than later, so that no log and no buffer grows
  // then.
  std::thread from = pump(service.server.get(), POLLOUT, stop, sent,
                          [&](int fd, const std::uint8_t* bytes, std::size_t size) -> ssize_t {
                            const std::uint64_t most = received < kWarm ? 1 << 20 : 192 << 10;
                            if (sent - received > most) return ::sched_yield();
                            return ::send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
                          });
  std::thread to = pump(visit.client.get(), POLLIN, stop, received,
                        [](int fd, std::uint8_t* bytes, std::size_t size) {
                          return ::recv(fd, bytes, size, MSG_DONTWAIT);
                        });

  std::uint64_t warm = 0, frames = 0, allocated = 0;
  Timer look(loop.shard, [&] {
    const auto now = allocations().count;
    const auto in = relay.driver->mux().stats().frames_in;
    if (received < kWarm) {
      warm = now;
      frames = in;
    } else if (received >= kWarm + kMeasured) {
      allocated = now - warm;
      frames = in - frames;
      return loop.shard.stop();
    }
    look.arm_in(1ms);
  });
  look.arm_in(1ms);
  const bool in_time = loop.run([] { return false; }, 120s);
  stop = true;
  from.join();
  to.join();
  ASSERT_TRUE(in_time) << received;
  EXPECT_GT(frames, kMeasured / limits::kMaxFrameNative * 9 / 10);
  // On a busy machine one more slab of the log or ring may be needed than ever before.
  EXPECT_LE(allocated, 16u) << "in " << frames << " frames";
}

}  // namespace
}  // namespace leat::net
