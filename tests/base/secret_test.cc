// Every block that the program gives back is searched for the sentinel: a Secret leaves none
// behind.
#include "base/secret.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <string.h>

#include <array>
#include <concepts>
#include <cstdlib>
#include <memory>
#include <new>
#include <ostream>
#include <string>
#include <utility>

namespace {

constexpr std::string_view kLong = "sentinel-of-a-secret-longer-than-a-short-string";
constexpr std::string_view kShort = "sentinel-short";
int leaks = 0;

void search_and_free(void* block) {
  if (block == nullptr) return;
  if (::memmem(block, ::malloc_usable_size(block), kShort.data(), 8) != nullptr) ++leaks;
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) {
  void* const block = std::malloc(size);
  if (block == nullptr) std::abort();
  return block;
}
void operator delete(void* block) noexcept { search_and_free(block); }
void operator delete(void* block, std::size_t) noexcept { search_and_free(block); }

namespace leat {
namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};

static_assert(!Streamable<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);
static_assert(!std::is_convertible_v<Secret, const char*>);
static_assert(!std::is_convertible_v<Secret, bool>);
static_assert(!std::is_convertible_v<std::string, Secret>, "making one is a decision");
static_assert(!std::totally_ordered<Secret>, "ordering would compare in variable time");

TEST(Secret, TheSearchFindsAnOrdinaryString) {
  leaks = 0;
  std::make_unique<std::string>(kLong);
  EXPECT_EQ(leaks, 1);
}

TEST(Secret, LeavesNothingOnTheHeap) {
  leaks = 0;
  {
    Secret a{std::string(kLong)};
    const Secret copy = a;
    Secret moved = std::move(a);
    Secret assigned{std::string(kLong)};
    assigned = copy;
    assigned = std::move(moved);
    assigned = Secret(std::string(200, 'x'));
    Secret shorter{std::string(kLong)};
    shorter = Secret(std::string("x"));
    Secret& same = shorter;
    shorter = same;
    EXPECT_EQ(shorter.reveal(), "x");
    EXPECT_EQ(copy.reveal(), kLong);
  }
  EXPECT_EQ(leaks, 0);
}

bool holds_sentinel(const void* object, std::size_t size) {
  return ::memmem(object, size, kShort.data(), 8) != nullptr;
}

// A short string lies inside the object, where a move leaves a copy.
TEST(Secret, LeavesNothingInAnObjectMovedFrom) {
  Secret a{std::string(kShort)};
  ASSERT_TRUE(holds_sentinel(&a, sizeof a)) << "strings of this library are never short";
  Secret b = std::move(a);
  EXPECT_FALSE(holds_sentinel(&a, sizeof a));  // NOLINT(bugprone-use-after-move)
  Secret c;
  c = std::move(b);
  EXPECT_FALSE(holds_sentinel(&b, sizeof b));  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(c.reveal(), kShort);
  c = Secret();
  EXPECT_FALSE(holds_sentinel(&c, sizeof c));
  EXPECT_TRUE(c.empty());
}

TEST(Secret, LeavesNothingInADestroyedObject) {
  alignas(Secret) std::array<unsigned char, sizeof(Secret)> room{};
  Secret* const secret = new (room.data()) Secret(std::string(kShort));
  ASSERT_TRUE(holds_sentinel(room.data(), room.size()));
  secret->~Secret();
  EXPECT_FALSE(holds_sentinel(room.data(), room.size()));
}

TEST(Secret, ComparesByContent) {
  EXPECT_TRUE(Secret() == Secret(std::string()));
  EXPECT_TRUE(Secret(std::string("a")) == Secret(std::string("a")));
  EXPECT_FALSE(Secret(std::string("a")) == Secret(std::string("b")));
  EXPECT_FALSE(Secret(std::string("a")) == Secret(std::string("aa")));
}

}  // namespace
}  // namespace leat
