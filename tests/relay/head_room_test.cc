#include "relay/head_room.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>

namespace leat::relay {
namespace {

using limits::KiB;

// What a head comes to that has come to `most` bytes, or finds no room before.
std::size_t fill(HeadRoom& room, std::size_t most) {
  std::size_t held = 0;
  while (held < most && room.hold(std::min(held + KiB, most))) held = std::min(held + KiB, most);
  return held;
}

TEST(HeadRoom, ManyLargeHeadsLeaveRoomForSmallOnes) {
  HeadRooms all;
  std::list<HeadRoom> rooms;
  std::size_t sum = 0;
  const auto more = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      sum += fill(rooms.emplace_back(all), limits::kHead - 1);
    }
  };
  // As many as one address may have, and of two.
  more(limits::kHandshakesOfAddress);
  EXPECT_GE(fill(rooms.emplace_back(all), limits::kHead - 1), 8 * KiB);
  more(limits::kHandshakesOfAddress);
  EXPECT_EQ(fill(rooms.emplace_back(all), KiB), KiB);
  more(9000);
  EXPECT_EQ(fill(rooms.emplace_back(all), KiB), KiB);
  // Strings with twice the room of what is in them.
  EXPECT_LT(2 * sum, 32 * limits::MiB + 2 * rooms.size() * HeadRooms::kSmall);
}

TEST(HeadRoom, AFewOfTheLargestFindRoomAtOnce) {
  HeadRooms all;
  std::list<HeadRoom> rooms;
  for (int i = 0; i < 31; ++i) {
    EXPECT_EQ(fill(rooms.emplace_back(all), limits::kHead), limits::kHead) << i;
  }
}

TEST(HeadRoom, IsGivenBack) {
  HeadRooms all;
  for (int i = 0; i < 2000; ++i) {
    HeadRoom room(all);
    ASSERT_EQ(fill(room, limits::kHead - 1), limits::kHead - 1) << i;
    if (i % 2 == 0) continue;
    room.release();
    ASSERT_TRUE(HeadRoom(all).hold(limits::kHead - 1)) << i;
  }
}

}  // namespace
}  // namespace leat::relay
