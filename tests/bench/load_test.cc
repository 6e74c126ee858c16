// The load generator's own parts: what it states as figures, and that it sees one wrong byte.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "load/content.h"
#include "load/flows.h"
#include "load/statistics.h"

namespace leat::bench {
namespace {

TEST(Distribution, PercentilesAreValuesThatWereSeen) {
  Distribution d;
  EXPECT_EQ(d.percentile(50), 0);
  for (int i = 100; i >= 1; --i) d.add(i);
  EXPECT_EQ(d.percentile(0), 1);
  EXPECT_EQ(d.percentile(50), 50);
  EXPECT_EQ(d.percentile(99), 99);
  EXPECT_EQ(d.percentile(99.1), 100);
  EXPECT_EQ(d.max(), 100);
  EXPECT_DOUBLE_EQ(d.mean(), 50.5);
  d.add(1000);  // after having been asked
  EXPECT_EQ(d.max(), 1000);
}

TEST(Jain, FromOneTakesAllToAllEqual) {
  EXPECT_DOUBLE_EQ(jain(std::array{1.0, 0.0, 0.0, 0.0}), 0.25);
  EXPECT_DOUBLE_EQ(jain(std::array{3.0, 3.0, 3.0}), 1);
  EXPECT_NEAR(jain(std::array{1.0, 3.0}), 0.8, 1e-12);
  EXPECT_EQ(jain({}), 1);
}

std::vector<std::uint8_t> read(const Content& content, std::uint64_t offset, std::size_t size) {
  std::vector<std::uint8_t> out;
  while (out.size() < size) {
    const Bytes part = content.at(offset + out.size());
    const std::size_t n = std::min(part.size(), size - out.size());
    out.insert(out.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(n));
  }
  return out;
}

TEST(Content, IsTheSameHoweverItIsRead) {
  const Content content(7);
  const auto whole = read(content, 0, 100'000);
  for (const std::size_t at : {1u, 16383u, 16384u, 16385u, 50'001u}) {
    const auto part = read(content, at, 40'000);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + at)) << at;
    EXPECT_FALSE(content.wrong(at, part)) << at;
  }
}

TEST(Content, EveryFlippedByteIsFound) {
  const Content content(7);
  auto bytes = read(content, 1000, 40'000);
  for (std::size_t i = 0; i < bytes.size(); i += 97) {
    bytes[i] ^= 1;
    EXPECT_TRUE(content.wrong(1000, bytes)) << i;
    bytes[i] ^= 1;
  }
  EXPECT_FALSE(content.wrong(1000, bytes));
}

TEST(Content, AnotherPlaceOrStreamIsNotTheSame) {
  const auto bytes = read(Content(7), 0, 40'000);
  EXPECT_TRUE(Content(8).wrong(0, bytes));
  for (const std::uint64_t shift : {1ull, 4096ull, 16384ull, 1ull << 20, 1ull << 32}) {
    EXPECT_TRUE(Content(7).wrong(shift, bytes)) << shift;
  }
}

TEST(Content, ASampleLooksOnlyAtItsBlocks) {
  auto bytes = read(Content(7), 0, 4 * Content::kBlock);
  bytes[Content::kBlock + 5] ^= 1;
  EXPECT_TRUE(Content(7).wrong(0, bytes));
  EXPECT_FALSE(Content(7, 4).wrong(0, bytes));
  bytes[5] ^= 1;
  EXPECT_EQ(Content(7, 4).wrong(0, bytes), 0u);
}

// A flow on one end of a pair of sockets, the test on the other.
class FlowTest : public ::testing::Test {
 protected:
  FlowTest() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_.data()), 0); }
  ~FlowTest() override { ::close(ends_[1]); }

  void write(Bytes data) {
    while (!data.empty()) {
      const ssize_t n = ::write(ends_[1], data.data(), data.size());
      if (n > 0) data = data.subspan(static_cast<std::size_t>(n));
      run();
    }
    run();
  }
  void run() { loop_.run(now_ns() + 1'000'000); }
  int theirs() const { return ends_[0]; }

  std::array<int, 2> ends_{};
  Loop loop_;
  std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();
  std::shared_ptr<TokenLog> log_ = std::make_shared<TokenLog>();
};

TEST_F(FlowTest, BulkIsCountedWhileItIsRight) {
  const Request request{.seed = 3};
  loop_.add(std::make_unique<BulkReceiver>(theirs(), request, progress_, false));
  auto bytes = read(Content(3), 0, 300'000);
  write(bytes);
  EXPECT_EQ(progress_->bytes, 300'000u);
  auto more = read(Content(3), 300'000, 1000);
  more[999] ^= 0x80;
  write(more);
  EXPECT_TRUE(progress_->broken);
  EXPECT_TRUE(progress_->ended);
  EXPECT_EQ(progress_->bytes, 300'000u);
}

TEST_F(FlowTest, AnUploadersCountIsWhatThePeerHasChecked) {
  const Request request{.kind = Kind::upload, .seed = 3};
  loop_.add(std::make_unique<BulkSender>(theirs(), request, progress_));
  run();
  std::array<std::uint8_t, 5000> received;
  ASSERT_EQ(::read(ends_[1], received.data(), received.size()), 5000);
  EXPECT_FALSE(Content(3).wrong(0, received));
  EXPECT_EQ(progress_->bytes, 0u);
  const std::uint64_t checked = 5000, broken = kBroken;
  write({reinterpret_cast<const std::uint8_t*>(&checked), 8});
  EXPECT_EQ(progress_->bytes, 5000u);
  write({reinterpret_cast<const std::uint8_t*>(&broken), 8});
  EXPECT_TRUE(progress_->broken);
  EXPECT_EQ(progress_->bytes, 5000u);
}

std::vector<std::uint8_t> token(const Request& request, std::uint64_t sequence, std::int64_t sent) {
  const TokenHead head{.sequence = sequence, .sent_ns = sent};
  std::vector<std::uint8_t> out(request.token_bytes);
  std::memcpy(out.data(), &head, sizeof head);
  const Bytes fill = Content(request.seed).at(sequence * Content::kBlock);
  std::copy_n(fill.begin(), out.size() - sizeof head, out.begin() + sizeof head);
  return out;
}

TEST_F(FlowTest, TokensAreTimedFromTheirBirthHoweverTheyArrive) {
  const Request request{.kind = Kind::tokens, .seed = 3, .token_bytes = 100, .every_us = 1};
  loop_.add(std::make_unique<TokenReceiver>(theirs(), request, log_, false));
  const std::int64_t sent = now_ns();
  auto bytes = token(request, 0, sent);
  const auto second = token(request, 1, sent + 5);
  bytes.insert(bytes.end(), second.begin(), second.end());
  for (std::size_t at = 0; at < bytes.size(); at += 33) {
    write(Bytes(bytes).subspan(at, std::min<std::size_t>(33, bytes.size() - at)));
  }
  ASSERT_EQ(log_->seen.size(), 2u);
  EXPECT_EQ(log_->seen[1].sequence, 1u);
  EXPECT_EQ(log_->seen[1].sent_ns, sent + 5);
  EXPECT_GE(log_->seen[0].received_ns, sent);
  EXPECT_FALSE(log_->broken);
}

TEST_F(FlowTest, AWrongOrMissingTokenIsAFault) {
  const Request request{.kind = Kind::tokens, .seed = 3, .token_bytes = 100, .every_us = 1};
  loop_.add(std::make_unique<TokenReceiver>(theirs(), request, log_, false));
  write(token(request, 0, 1));
  EXPECT_FALSE(log_->broken);
  write(token(request, 2, 1));
  EXPECT_TRUE(log_->broken);
}

TEST_F(FlowTest, ATokenWithAFlippedByteIsAFault) {
  const Request request{.kind = Kind::tokens, .seed = 3, .token_bytes = 100, .every_us = 1};
  loop_.add(std::make_unique<TokenReceiver>(theirs(), request, log_, false));
  auto bad = token(request, 0, 1);
  bad[99] ^= 1;
  write(bad);
  EXPECT_TRUE(log_->broken);
}

TEST_F(FlowTest, TokensKeepTheTimeTheyCameIntoBeing) {
  // Far more than the socket takes: what waits to be written must not get a later time.
  const Request request{.kind = Kind::tokens, .seed = 3, .token_bytes = 16384, .every_us = 500};
  loop_.add(std::make_unique<TokenSender>(theirs(), request, nullptr));
  for (int i = 0; i < 60; ++i) run();
  const std::int64_t late = now_ns();
  std::vector<std::uint8_t> received;
  std::array<std::uint8_t, 65536> buffer;
  for (int i = 0; i < 100; ++i) {
    const ssize_t n = ::read(ends_[1], buffer.data(), buffer.size());
    if (n > 0) received.insert(received.end(), buffer.begin(), buffer.begin() + n);
    run();
  }
  ASSERT_GT(received.size(), 32u * 16384);
  std::int64_t last = 0;
  for (std::uint64_t i = 0; i < 32; ++i) {
    TokenHead head;
    std::memcpy(&head, &received[i * 16384], sizeof head);
    EXPECT_EQ(head.sequence, i);
    EXPECT_LT(head.sent_ns, late);
    EXPECT_GE(head.sent_ns, last);
    last = head.sent_ns;
  }
}

TEST_F(FlowTest, ATokensTimeIsWhenItWasDueHoweverLateTheSenderRuns) {
  const Request request{.kind = Kind::tokens, .seed = 3, .token_bytes = 100, .every_us = 2000};
  loop_.add(std::make_unique<TokenSender>(theirs(), request, nullptr));
  run();
  for (const std::int64_t until = now_ns() + 20'000'000; now_ns() < until;) {
  }  // kept from running
  const std::int64_t resumed = now_ns();
  run();
  std::array<std::uint8_t, 4096> received;
  const ssize_t n = ::read(ends_[1], received.data(), received.size());
  ASSERT_GE(n, 10 * 100);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    TokenHead head;
    std::memcpy(&head, &received[i * 100], sizeof head);
    if (i == 0) first = head.sent_ns;
    EXPECT_EQ(head.sent_ns, first + static_cast<std::int64_t>(i) * 2'000'000);
    EXPECT_LT(head.sent_ns, resumed);
  }
}

TEST_F(FlowTest, APingComesBack) {
  loop_.add(std::make_unique<Ping>(theirs(), log_));
  Loop other;
  other.add(std::make_unique<Echo>(::dup(ends_[1])));
  for (int i = 0; i < 3; ++i) {
    run();
    other.run(now_ns() + 1'000'000);
  }
  run();
  EXPECT_GE(log_->seen.size(), 2u);
  EXPECT_FALSE(log_->broken);
}

}  // namespace
}  // namespace leat::bench
