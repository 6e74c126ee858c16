// DRR++ as docs/protocol.md §1.8 describes it. A stream here is a name and how much it has to send.

#include "mux/scheduler.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>

namespace leat::mux {
namespace {

constexpr std::int64_t kQuantum = 1000;

struct Flow : Scheduled {
  explicit Flow(char c, std::size_t frame_bytes = kQuantum) : name(c), frame(frame_bytes) {}
  char name;
  std::size_t frame;            // bytes it sends when asked
  std::int64_t left = 1 << 30;  // frames it has
};

struct Link {
  // One frame, or as many as come within one pull. Returns who sent.
  std::string pull(std::size_t frames = 1, bool only_new = false) {
    std::string out;
    scheduler.begin_pull();
    while (out.size() < frames) {
      auto* const flow = static_cast<Flow*>(scheduler.next(only_new));
      if (flow == nullptr) break;
      if (flow->left == 0) {
        scheduler.suspend(*flow);  // not ready
        continue;
      }
      --flow->left;
      sent[flow->name] += flow->frame;
      out += flow->name;
      scheduler.sent(*flow, flow->frame);
    }
    scheduler.end_pull();
    return out;
  }
  std::string pulls(int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += pull();
    return out;
  }

  Scheduler scheduler{kQuantum};
  std::map<char, std::size_t> sent;
};

TEST(Scheduler, ServesBulkStreamsInTurn) {
  Link link;
  Flow a('a'), b('b'), c('c');
  for (Flow* f : {&a, &b, &c}) link.scheduler.wake(*f);
  EXPECT_EQ(link.pulls(9), "abcabcabc");
}

TEST(Scheduler, SharesBytesNotFrames) {
  Link link;
  Flow small('s', 100), large('l', 1000);
  link.scheduler.wake(small);
  link.scheduler.wake(large);
  link.pulls(11000);
  EXPECT_NEAR(static_cast<double>(link.sent['s']) / static_cast<double>(link.sent['l']), 1.0, 0.01);
}

TEST(Scheduler, AStreamThatWasIdleGoesBeforeTheBulk) {
  Link link;
  Flow a('a'), b('b'), token('t', 100);
  link.scheduler.wake(a);
  link.scheduler.wake(b);
  EXPECT_EQ(link.pulls(5), "ababa");
  for (int i = 0; i < 10; ++i) {  // each time it wakes, not only the first
    token.left = 1;
    link.scheduler.wake(token);
    EXPECT_EQ(link.pull()[0], 't') << i;
    EXPECT_EQ(link.pulls(4).find('t'), std::string::npos);
  }
}

TEST(Scheduler, ButOnlyUpToAQuantumPerRound) {
  Link link;
  Flow a('a'), b('b'), greedy('g', 500);
  link.scheduler.wake(a);
  link.scheduler.wake(b);
  link.pulls(4);
  // It goes idle and wakes before every frame, and gains nothing by that.
  std::string order;
  for (int i = 0; i < 3000; ++i) {
    greedy.left = 1;
    link.scheduler.wake(greedy);
    order += link.pull();
  }
  EXPECT_EQ(order.substr(0, 3), "gga");
  EXPECT_NEAR(static_cast<double>(link.sent['g']) / static_cast<double>(link.sent['a']), 1.0, 0.02);
  EXPECT_NEAR(static_cast<double>(link.sent['a']) / static_cast<double>(link.sent['b']), 1.0, 0.02);
}

TEST(Scheduler, NotReadyKeepsTheDeficit) {
  Link link;
  Flow a('a'), b('b', 600);
  link.scheduler.wake(a);
  link.scheduler.wake(b);
  EXPECT_EQ(link.pull(), "a");
  EXPECT_EQ(link.pull(), "b");
  b.left = 0;
  EXPECT_EQ(link.pull(), "a");  // b was asked, had nothing, and left with 400 bytes of its quantum
  b.left = 2;
  link.scheduler.wake(b);
  // In the round after, a full quantum and not 1400: one frame of 600, a second on the remaining
  // 400, then the debt of 200 waits for the others.
  EXPECT_EQ(link.pulls(3), "bba");
}

TEST(Scheduler, ADebtIsPaidBeforeTheNextQuantum) {
  Link link;
  Flow a('a', 600), b('b', 1000);
  link.scheduler.wake(a);
  link.scheduler.wake(b);
  link.pulls(16000);
  EXPECT_NEAR(static_cast<double>(link.sent['a']) / static_cast<double>(link.sent['b']), 1.0, 0.01);
}

TEST(Scheduler, NobodyIsAskedTwiceInOnePull) {
  Link link;
  Flow a('a', 10), b('b', 10);
  link.scheduler.wake(a);
  link.scheduler.wake(b);
  EXPECT_EQ(link.pull(100), "ab");
  EXPECT_EQ(link.pull(100), "ab");

  // Nor when it wakes from inside its own turn.
  link.scheduler.begin_pull();
  Scheduled* const first = link.scheduler.next(false);
  link.scheduler.suspend(*first);
  link.scheduler.wake(*first);
  Scheduled* const second = link.scheduler.next(false);
  EXPECT_NE(first, second);
  link.scheduler.suspend(*second);
  EXPECT_EQ(link.scheduler.next(false), nullptr);
  link.scheduler.end_pull();
  EXPECT_FALSE(link.scheduler.empty());
  link.scheduler.suspend(*first);
  EXPECT_TRUE(link.scheduler.empty());
}

TEST(Scheduler, AnUnfinishedTurnGoesOnInTheNextPull) {
  Link link;
  Flow a('a', 400), b('b', 1000);
  link.scheduler.wake(a);
  link.scheduler.wake(b);
  EXPECT_EQ(link.pulls(8), "aaabaaba");  // 3 x 400, debt 200; then 2 x 400 + what is left
}

TEST(Scheduler, OnlyNewLeavesTheOldAlone) {
  Link link;
  Flow a('a'), token('t', 10);
  link.scheduler.wake(a);
  link.pulls(2);
  EXPECT_EQ(link.pull(5, true), "");
  link.scheduler.wake(token);
  EXPECT_EQ(link.pull(5, true), "t");
  EXPECT_EQ(link.pull(5, false), "ta");
}

TEST(Scheduler, StreamsMayLeaveFromAnywhere) {
  Link link;
  std::deque<Flow> flows;
  for (char c = 'a'; c <= 'z'; ++c) flows.emplace_back(c, 10 + static_cast<std::size_t>(c) * 7);
  std::uint32_t x = 7;
  const auto random = [&](std::uint32_t below) {
    x = x * 1664525 + 1013904223;
    return static_cast<std::uint32_t>((std::uint64_t{x} * below) >> 32);
  };
  for (int i = 0; i < 200000; ++i) {
    Flow& flow = flows[random(26)];
    if (random(2) == 0) {
      flow.left = random(4);
      link.scheduler.wake(flow);
    } else {
      link.scheduler.suspend(flow);
    }
    link.pull(random(5), random(4) == 0);
  }
  for (Flow& flow : flows) link.scheduler.suspend(flow);
  EXPECT_TRUE(link.scheduler.empty());
  EXPECT_EQ(link.pull(), "");
}

// The bound of §1.8: between waking and being served, a sparse stream sees at most one quantum of
// each other sparse stream, and no bulk but what was already under way.
TEST(Scheduler, ASparseStreamWaitsAtMostAQuantumPerOtherSparseStream) {
  Link link;
  std::deque<Flow> bulk, sparse;
  for (char c = 'a'; c <= 'h'; ++c) bulk.emplace_back(c);
  for (char c = 'A'; c <= 'J'; ++c) sparse.emplace_back(c, 100);
  for (Flow& f : bulk) link.scheduler.wake(f);
  link.pulls(100);
  std::uint32_t x = 99;
  for (int i = 0; i < 20000; ++i) {
    x = x * 1664525 + 1013904223;
    Flow& token = sparse[(x >> 16) % sparse.size()];
    if (token.waiting()) continue;
    token.left = 1;
    link.scheduler.wake(token);
    std::int64_t waited = 0;
    for (;;) {
      const char who = link.pull()[0];
      if (who == token.name) break;
      ASSERT_TRUE(who >= 'A' && who <= 'J') << "bulk went first, step " << i;
      waited += 100;
      ASSERT_LE(waited, kQuantum * static_cast<std::int64_t>(sparse.size()));
    }
    link.pulls(8);  // a round of the bulk, in which the quantum of the sparse ones is renewed
  }
}

}  // namespace
}  // namespace leat::mux
