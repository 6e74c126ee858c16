// A byte's whole way, from a service's socket through splice, session, link and carrier to a
// visitor's socket: it asks the allocator for nothing once everything has been at its largest,
// fills its records, and several of them share a system call. The two ends are threads that only
// read and write.
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <iostream>
#include <memory>
#include <thread>

#include "mux/counting_new.h"
#include "net/session_driver.h"
#include "net/splice.h"
#include "net/tls_fixture.h"
#include "net/websocket_transport.h"

namespace leat::net {
namespace {

using namespace std::chrono_literals;
using leat::test::allocations;

#ifdef LEAT_SANITIZED
constexpr std::uint64_t kWarm = 16 << 20, kFrames = 2'000;
#else
constexpr std::uint64_t kWarm = 128 << 20, kFrames = 200'000;
#endif
constexpr std::uint64_t kMeasured = kFrames * limits::kMaxFrameNative;
// Slabs of the log and rings that a busy machine may need more than ever before, however many
// frames there are.
constexpr std::uint64_t kLater = 16;

struct End final : SessionDriver::Owner, Splice::Owner, TransportOwner {
  End(Loop& l, Fd fd, const TlsContext& context, mux::Role r) : loop(l), role(r) {
    carrier = make_tls_transport(loop.shard, fd.release(), context, "relay.test");
    carrier->set_owner(this);
  }
  void begin(bool websocket) {
    if (websocket) {
      carrier = make_websocket_transport(
          loop.shard, std::move(carrier),
          role == mux::Role::client ? http::ws::Role::client : http::ws::Role::server, "");
    }
    counters = &carrier->counters();
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
  const IoCounters* counters = nullptr;  // of the carrier, which is the driver's then
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

struct Counts {
  std::uint64_t allocations, frames, data;
  IoCounters in, out, on;  // carrier at either end, visitor
};

std::uint64_t per_call(std::uint64_t bytes, std::uint64_t bytes_before, std::uint64_t calls,
                       std::uint64_t calls_before) {
  return (bytes - bytes_before) / (calls - calls_before);
}

class Path : public ::testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(, Path, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "WebSocket" : "Tls"; });

TEST_P(Path, FullFramesWithoutAnAllocationSeveralInACall) {
  const Identity identity;
  const TlsContext server = identity.server(), client = identity.client();
  TcpPair carrier = tcp_pair(), visit = tcp_pair(), service = tcp_pair();
  Loop loop;
  End relay(loop, std::move(carrier.server), server, mux::Role::server);
  End agent(loop, std::move(carrier.client), client, mux::Role::client);
  ASSERT_TRUE(
      loop.run([&] { return relay.carrier->established() && agent.carrier->established(); }));
  relay.begin(GetParam());
  agent.begin(GetParam());
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

  Counts before{}, after{};
  Timer look(loop.shard, [&] {
    const mux::Stats& stats = relay.driver->mux().stats();
    after = {allocations().count, stats.frames_in, stats.data_in,
             *relay.counters,     *agent.counters, relay.splice->transport().counters()};
    if (received < kWarm) before = after;
    if (received >= kWarm + kMeasured) return loop.shard.stop();
    look.arm_in(1ms);
  });
  look.arm_in(1ms);
  const bool in_time = loop.run([] { return false; }, 120s);
  stop = true;
  from.join();
  to.join();
  ASSERT_TRUE(in_time) << received;
  const std::uint64_t frames = after.frames - before.frames;
  const std::uint64_t received_by =
      per_call(after.in.received, before.in.received, after.in.receives, before.in.receives);
  const std::uint64_t sent_by =
      per_call(after.out.sent, before.out.sent, after.out.sends, before.out.sends);
  const std::uint64_t onward_by =
      per_call(after.on.sent, before.on.sent, after.on.sends, before.on.sends);
  std::cout << frames << " frames; bytes in a call: " << sent_by << " sent, " << received_by
            << " received, " << onward_by << " onward\n";
  EXPECT_GT(frames, kFrames * 9 / 10);
  EXPECT_LE(after.allocations - before.allocations, kLater) << "in " << frames << " frames";
#ifndef LEAT_SANITIZED  // what goes into a record follows from the rate, and a sanitizer's is
                        // another
  // A full frame fills its record (docs/protocol.md §2.1); the last of a window is a short one.
  EXPECT_GT(after.data - before.data, frames * limits::kMaxFrameNative * 85 / 100);
  EXPECT_GE(sent_by, 3 * limits::kTlsRecord);
  EXPECT_GE(received_by, 3 * limits::kTlsRecord);
  EXPECT_GE(onward_by, 3 * limits::kMaxFrameNative);
#endif
}

}  // namespace
}  // namespace leat::net
