// A link in its steady state asks the allocator for nothing, whatever it carries.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "net/link.h"
#include "net/link_fixture.h"

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

// Out of line, or the compiler sees free() meet new.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace leat::net {
namespace {

// Sends a fixed number of bytes each time it is asked for some, and counts what it receives.
class Counter final : public LinkUpper {
 public:
  bool on_link_data(Bytes data) override {
    received += data.size();
    return true;
  }
  std::size_t produce_link_data(MutableBytes out) override {
    const std::size_t n = std::min(wanted, out.size());
    wanted -= n;
    return n;
  }
  std::size_t wanted = 0;
  std::uint64_t received = 0;
};

struct Pair {
  Counter a_upper, b_upper;
  Link a{a_upper}, b{b_upper};
  Time now = test::kStart;

  Pair() {
    a.attach(0, now);
    b.attach(0, now);
  }
  static void move(Link& from, Link& to, Time now) {
    while (true) {
      const Bytes record = from.pull(limits::kTlsRecord, now);
      if (record.empty()) return;
      to.feed(record, now);
    }
  }
  // One round trip, with `a_bytes` one way and `b_bytes` the other.
  void round(std::size_t a_bytes, std::size_t b_bytes, Duration pause) {
    a_upper.wanted += a_bytes;
    b_upper.wanted += b_bytes;
    move(a, b, now);
    move(b, a, now);
    now += pause;
    a.on_deadline(now);
    b.on_deadline(now);
  }
};

TEST(LinkAllocations, TheCounterCounts) {
  const auto before = allocations.load();
  delete new int;
  EXPECT_GT(allocations.load(), before);
}

TEST(LinkAllocations, NoneInTheSteadyState) {
  Pair pair;
  const auto traffic = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      pair.round(3'000'000, 1'000'000, std::chrono::milliseconds(5));  // bulk
      pair.round(200, 0, std::chrono::milliseconds(50));               // tokens
      pair.round(0, 0, std::chrono::seconds(3));                       // silence, pings
    }
  };
  traffic(2);
  const auto before = allocations.load();
  traffic(50);
  EXPECT_EQ(allocations.load(), before);
  EXPECT_EQ(pair.b_upper.received, 52u * 3'000'200);
  EXPECT_EQ(pair.a_upper.received, 52u * 1'000'000);
  EXPECT_EQ(pair.a.stats().carriers, 1u);
}

}  // namespace
}  // namespace leat::net
