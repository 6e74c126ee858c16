// What Session::pull promises to the carrier.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "mux/mux_harness.h"
#include "mux/session.h"

namespace leat::mux::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kWindow = Type::window_update;

struct Sender {
  explicit Sender(int streams, const Config& config = Config::native(Role::client))
      : peer(config), sources(static_cast<std::size_t>(streams)) {
    for (TextSource& source : sources) {
      handles.push_back(*peer.session.open(Time{}));
      peer.session.attach(handles.back(), &source, nullptr);
    }
    static_cast<void>(peer.take());
  }
  void offer(std::size_t i, std::size_t bytes) {
    sources[i].text += std::string(bytes, 'x');
    peer.session.wake(handles[i]);
  }
  std::vector<Header> pull(std::size_t room) {
    std::string out(room, '\0');
    out.resize(peer.session.pull({reinterpret_cast<std::uint8_t*>(out.data()), room}, Time{}));
    return headers(out);
  }
  std::vector<std::uint32_t> lengths(std::size_t room) {
    std::vector<std::uint32_t> out;
    for (const Header& h : pull(room)) out.push_back(h.length);
    return out;
  }

  Peer peer;
  std::vector<TextSource> sources;
  std::vector<StreamHandle> handles;
};

TEST(Pull, MakesProgressInThirteenBytes) {
  Sender sender(1);
  sender.offer(0, 3);
  EXPECT_THAT(sender.lengths(12), IsEmpty());
  EXPECT_THAT(sender.lengths(13), ElementsAre(1));
  EXPECT_THAT(sender.lengths(14), ElementsAre(2));
  EXPECT_THAT(sender.lengths(13), IsEmpty());
  EXPECT_FALSE(sender.peer.session.wants_pull());
}

TEST(Pull, DataFollowsWhenTheOpeningLeavesInPieces) {
  Config config = Config::native(Role::client);
  config.initial_window = 1 << 20;
  Peer client(config);
  TextSource source;
  source.text = "x";
  client.session.attach(*client.session.open(Time{}), &source, nullptr);
  EXPECT_THAT(headers(client.take(13)),
              ElementsAre(Header{kWindow, flag::syn, 1, 0},
                          Header{kWindow, 0, 1, (1 << 20) - limits::kInitialWindow},
                          Header{Type::data, 0, 1, 1}));
}

TEST(Pull, SmallFramesShareARecord) {
  Sender sender(3);
  for (std::size_t i = 0; i < 3; ++i) sender.offer(i, 100);
  EXPECT_THAT(sender.lengths(16381), ElementsAre(100, 100, 100));
}

TEST(Pull, WritesOneDataFramePerStream) {
  Sender sender(2);
  sender.offer(0, 100000);
  sender.offer(1, 100000);
  EXPECT_THAT(sender.lengths(1 << 20), ElementsAre(16369, 16369));
}

TEST(Pull, DoesNotFillARecordWithASliverOfBulk) {
  Sender sender(3);
  sender.offer(0, 1 << 20);
  EXPECT_THAT(sender.lengths(16381), ElementsAre(16369));  // the bulk stream is old now
  sender.offer(1, 13000);
  EXPECT_THAT(sender.lengths(16381), ElementsAre(13000));
  sender.offer(1, 12000);
  sender.offer(2, 100);
  EXPECT_THAT(sender.lengths(16381),
              testing::UnorderedElementsAre(12000, 100, 16381 - 12012 - 112 - 12));
}

TEST(Pull, ASliverIsMeasuredByTheRecordIfThatIsSmall) {
  Sender sender(2);
  sender.offer(0, 1 << 20);
  EXPECT_THAT(sender.lengths(16381), ElementsAre(16369));  // the bulk stream is old now
  sender.offer(1, 100);
  EXPECT_THAT(sender.lengths(1000), ElementsAre(100, 876));
  sender.offer(1, 800);
  EXPECT_THAT(sender.lengths(1000), ElementsAre(800));
}

TEST(Pull, AStreamThatWakesIsFirstInTheNextRecord) {  // §1.8
  Sender sender(9);
  for (std::size_t i = 0; i < 8; ++i) {
    sender.offer(i, 200'000);  // bulk within the implicit window
    EXPECT_EQ(sender.lengths(16381).size(), 1u);
  }
  for (int i = 0; i < 80; ++i) {
    sender.offer(8, 100);
    const auto frames = sender.pull(16381);
    ASSERT_EQ(frames.size(), 2u) << i;
    EXPECT_EQ(frames[0], (Header{Type::data, 0, 17, 100})) << i;
  }
}

TEST(Pull, ControlTakesAtMostHalfWhileDataWaits) {
  Config config = Config::native(Role::client);
  Sender sender(1, config);
  sender.offer(0, 1 << 20);
  for (int i = 0; i < 100; ++i) ASSERT_NE(sender.peer.session.open(Time{}), std::nullopt);
  const auto frames = sender.pull(1200);
  EXPECT_EQ(frames.size(), 51u);
  EXPECT_EQ(frames[49].flags, flag::syn);
  EXPECT_EQ(frames[50], (Header{Type::data, 0, 1, 588}));
}

TEST(Pull, StopsAtTheWindowAndGoesOnWithCredit) {
  Sender sender(1);
  sender.offer(0, 300000);
  while (!sender.pull(16381).empty()) {
  }
  EXPECT_EQ(sender.sources[0].sent, limits::kInitialWindow);
  EXPECT_FALSE(sender.peer.session.wants_pull());
  const int wants = sender.peer.wants;
  ASSERT_EQ(sender.peer.session.feed(as_bytes(window(1, 7, flag::ack)), Time{}), Fatal::none);
  EXPECT_EQ(sender.peer.wants, wants + 1);
  EXPECT_THAT(sender.lengths(16381), ElementsAre(7));
}

// A source that resets its stream, hands it over, or opens another from inside produce().
struct Meddler final : Source {
  std::function<Produced(MutableBytes)> act;
  Produced produce(MutableBytes out) override { return act(out); }
};

TEST(Pull, ASourceMayMeddle) {
  Peer client(Config::native(Role::client));
  Session& session = client.session;
  const StreamHandle a = *session.open(Time{}), b = *session.open(Time{}),
                     c = *session.open(Time{});
  Meddler resets, hands_over, wakes_itself;
  TextSource next;
  next.text = "next";
  static_cast<void>(client.take());
  session.attach(a, &resets, nullptr);
  session.attach(b, &hands_over, nullptr);
  session.attach(c, &wakes_itself, nullptr);

  resets.act = [&](MutableBytes out) {
    session.reset(a);
    return Produced::bytes(out.size());  // void
  };
  hands_over.act = [&](MutableBytes out) {
    out[0] = '!';
    session.attach(b, &next, nullptr);
    return Produced::bytes(1);
  };
  int woken = 0;
  wakes_itself.act = [&](MutableBytes) {
    ++woken;
    session.wake(c);
    return Produced::not_ready();
  };
  std::vector<std::uint8_t> out(1000);
  const std::size_t n = session.pull(out, Time{});
  EXPECT_THAT(headers(as_chars(Bytes(out).first(n))), ElementsAre(Header{Type::data, 0, 3, 1}));
  EXPECT_EQ(woken, 1);
  const std::size_t m = session.pull(out, Time{});
  EXPECT_THAT(headers(as_chars(Bytes(out).first(m))),
              ElementsAre(Header{kWindow, flag::rst, 1, 0}, Header{Type::data, 0, 3, 4}));
  EXPECT_EQ(woken, 2);
  const int wants = client.wants;
  EXPECT_EQ(session.pull(out, Time{}), 0u);
  EXPECT_EQ(client.wants,
            wants + 1);  // it was woken after it was asked: the driver must come again
}

TEST(Pull, FinIsAFrameOfItsOwn) {
  Sender sender(1);
  sender.offer(0, 5);
  sender.sources[0].ends = true;
  EXPECT_THAT(sender.pull(100), ElementsAre(Header{Type::data, 0, 1, 5}));
  EXPECT_THAT(sender.pull(100), ElementsAre(Header{kWindow, flag::fin, 1, 0}));
  EXPECT_FALSE(sender.peer.session.wake(StreamHandle{}));
  sender.offer(0, 5);
  EXPECT_THAT(sender.pull(100), IsEmpty());
}

TEST(Pull, LargeWindowsAreAnnouncedByBothSides) {  // §1.2, §1.5
  Config a = Config::native(Role::client), b = Config::native(Role::server);
  a.initial_window = b.initial_window = 1 << 20;
  Pair pair(a, b);
  BulkSource up, down;
  TextSink stuck_here, stuck_there;
  stuck_here.room = stuck_there.room = 0;
  pair.server.accept = [&](StreamHandle s) { pair.server.session.attach(s, &down, &stuck_there); };
  pair.client.session.attach(*pair.client.session.open(pair.now), &up, &stuck_here);
  ASSERT_EQ(pair.settle(), Fatal::none);
  EXPECT_EQ(up.sent, 1u << 20);
  EXPECT_EQ(down.sent, 1u << 20);
}

}  // namespace
}  // namespace leat::mux::test
