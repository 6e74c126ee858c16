// Streams over sessions over links whose carriers are cut again and again: no stream notices. Each
// carries its bytes both ways, exactly, and ends with FIN both ways (docs/protocol.md §1, §2.5).
//
// LEAT_SEED=n runs one seed; LEAT_SEEDS=n runs that many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <random>

#include "mux/session.h"
#include "net/link.h"
#include "net/link_fixture.h"

namespace leat::net {
namespace {

using namespace test;

using Random = std::mt19937_64;

std::uint64_t below(Random& random, std::uint64_t n) { return n == 0 ? 0 : random() % n; }

// One end of a stream: sends a pattern that the stream's number and direction choose.
struct End final : mux::Source, mux::Sink {
  End(std::string send, std::string expect)
      : to_send(std::move(send)), expected(std::move(expect)) {}

  mux::Produced produce(MutableBytes out) override {
    if (sent == to_send.size()) return mux::Produced::end();
    const std::size_t n = std::min(out.size(), to_send.size() - sent);
    std::copy_n(to_send.begin() + static_cast<std::ptrdiff_t>(sent), n, out.begin());
    sent += n;
    return mux::Produced::bytes(n);
  }
  std::size_t deliver(Bytes data) override {
    EXPECT_EQ(as_chars(data), std::string_view(expected).substr(received, data.size()));
    received += data.size();
    return data.size();
  }
  void end() override { ended = true; }
  void reset(mux::ResetReason) override { ADD_FAILURE() << "a stream noticed"; }

  bool done() const { return ended && received == expected.size() && sent == to_send.size(); }

  std::string to_send, expected;
  std::size_t sent = 0, received = 0;
  bool ended = false;
};

struct Peer final : LinkUpper, mux::Events {
  Peer(mux::Role role, std::size_t log_limit)
      : link(*this, Framing::chunks, log_limit),
        session(mux::Config::native(role), *this, kStart) {}

  bool on_link_data(Bytes data) override {
    EXPECT_EQ(session.feed(data, now), mux::Fatal::none);
    return !::testing::Test::HasFailure();
  }
  std::size_t produce_link_data(MutableBytes out) override { return session.pull(out, now); }
  // The peer's streams arrive in the order they were opened: one carrier or many, the order stands.
  void on_open(mux::StreamHandle stream) override {
    ASSERT_LT(accepted, ends.size());
    ASSERT_TRUE(session.attach(stream, ends[accepted].get(), ends[accepted].get()));
    ++accepted;
  }
  void on_go_away() override { ADD_FAILURE() << "go-away"; }
  void on_want_pull() override {}

  Time now = kStart;
  Link link;
  mux::Session session;
  std::vector<std::unique_ptr<End>> ends;
  std::size_t accepted = 0;
};

void run(std::uint64_t seed, std::uint64_t& cuts) {
  Random random(seed);
  const std::size_t log_limit = (1 + below(random, 4)) * limits::kLogSlab;
  Peer agent(mux::Role::client, log_limit), relay(mux::Role::server, log_limit);
  const std::size_t streams = 1 + below(random, 20);
  for (std::size_t i = 0; i < streams; ++i) {
    const std::string there = pattern(below(random, 60'000), i * 7);
    const std::string back = pattern(below(random, 60'000), i * 7 + 3);
    relay.ends.push_back(std::make_unique<End>(there, back));
    agent.ends.push_back(std::make_unique<End>(back, there));
  }

  Time now = kStart;
  std::size_t opened = 0;
  bool attached = false;
  std::uint64_t cuts_left = below(random, 20);
  const auto all_done = [&] {
    const auto done = [](const auto& end) { return end->done(); };
    return std::all_of(agent.ends.begin(), agent.ends.end(), done) &&
           std::all_of(relay.ends.begin(), relay.ends.end(), done);
  };
  for (int round = 0; !all_done(); ++round) {
    ASSERT_LT(round, 5000) << "no progress";
    now += 1ms;
    agent.now = relay.now = now;
    if (!attached) {
      agent.link.detach();
      ASSERT_TRUE(relay.link.attach(agent.link.received(), now));
      ASSERT_TRUE(agent.link.attach(relay.link.received(), now));
      attached = true;
    }
    if (opened < streams && below(random, 3) == 0) {
      const auto stream = relay.session.open(now);
      ASSERT_TRUE(stream);
      End* end = relay.ends[opened++].get();
      ASSERT_TRUE(relay.session.attach(*stream, end, end));
    }
    for (Peer* peer : {&agent, &relay}) {
      Peer& other = peer == &agent ? relay : agent;
      for (std::uint64_t records = below(random, 4); records > 0; --records) {
        std::string record = pull(peer->link, now, 64 + below(random, 16321));
        // A carrier that is cut brings part of its last record, or none of it.
        const bool cut = attached && cuts_left > 0 && below(random, 30) == 0;
        if (cut) record.resize(below(random, record.size() + 1));
        ASSERT_EQ(feed(other.link, record, now), LinkFault::none);
        if (!cut) continue;
        --cuts_left;
        ++cuts;
        attached = false;
        break;
      }
      if (!attached) break;
      ASSERT_EQ(peer->link.on_deadline(now), LinkFault::none);
      ASSERT_EQ(peer->session.on_deadline(now), mux::Fatal::none);
    }
    if (::testing::Test::HasFailure()) return;
  }
}

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

TEST(LinkMuxSim, NoStreamNoticesALostCarrier) {
#ifdef LEAT_SANITIZED
  const std::uint64_t seeds = setting("LEAT_SEEDS", 50);
#else
  const std::uint64_t seeds = setting("LEAT_SEEDS", 300);
#endif
  const std::uint64_t only = setting("LEAT_SEED", 0);
  std::uint64_t cuts = 0;
  for (std::uint64_t seed = only ? only : 1; seed <= (only ? only : seeds); ++seed) {
    SCOPED_TRACE("replay: LEAT_SEED=" + std::to_string(seed) + " net_link_mux_sim_test");
    run(seed, cuts);
    if (HasFailure()) return;
  }
  EXPECT_TRUE(only || cuts > seeds * 2) << cuts;
}

}  // namespace
}  // namespace leat::net
