// What a channel does with memory: nothing is allocated per record, and what it gives back holds no
// key. OpenSSL's allocator is replaced for this program, before its first use.
#include <gtest/gtest.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <string.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <unordered_set>

#include "crypto/channel.h"
#include "crypto/fixed.h"
#include "mux/counting_new.h"

namespace leat::crypto {
namespace {

struct Heap {
  std::uint64_t allocations = 0;
  Bytes sentinel;
  int leaks = 0;  // blocks given back with the sentinel in them
  // Those in use; OpenSSL gives some back behind the end of main().
  std::unordered_set<const void*>& live = *new std::unordered_set<const void*>;

  bool holds(const void* block) const {
    const std::size_t size = ::malloc_usable_size(const_cast<void*>(block));
    return ::memmem(block, size, sentinel.data(), sentinel.size()) != nullptr;
  }
  bool in_use() const {
    return std::ranges::any_of(live, [&](const void* block) { return holds(block); });
  }
};
Heap heap;

void* allocate(std::size_t size, const char*, int) {
  ++heap.allocations;
  void* const block = std::calloc(1, size);  // what others left in it is not OpenSSL's
  if (block != nullptr) heap.live.insert(block);
  return block;
}
void release(void* block, const char*, int) {
  if (block == nullptr) return;
  if (!heap.sentinel.empty() && heap.holds(block)) ++heap.leaks;
  heap.live.erase(block);
  std::free(block);
}
void* reallocate(void* block, std::size_t size, const char* file, int line) {
  void* const fresh = allocate(size, file, line);
  if (fresh != nullptr && block != nullptr) {
    std::memcpy(fresh, block, std::min(size, ::malloc_usable_size(block)));
    release(block, file, line);
  }
  return fresh;
}

const int replaced = CRYPTO_set_mem_functions(allocate, reallocate, release);

std::uint64_t allocations() { return heap.allocations + leat::test::allocations().count; }

TEST(Memory, NothingIsAllocatedPerRecord) {
  ASSERT_EQ(replaced, 1);
  for (const Suite suite : test::kSuites) {
    test::Channels channels = test::connect(suite);
    std::vector<std::uint8_t> out(kMaxRecord), content(kMaxContent);
    const auto round = [&](std::size_t size) {
      for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(channels.client.seal(Bytes(content).first(size), out, Time{}));
        ASSERT_EQ(channels.agent.open(out).event, Opened::Event::data);
      }
    };
    round(1);  // the first of a kind may prepare something
    const std::uint64_t before = allocations();
    round(1);
    round(1000);
    round(kMaxContent);
    EXPECT_EQ(allocations(), before) << test::name(suite);
  }
}

TEST(Memory, TheCountCounts) {
  const std::uint64_t before = allocations();
  const AesGcm cipher{Key()};
  EXPECT_GT(allocations(), before);
}

TEST(Memory, OldKeysAreErased) {
  const std::vector<std::uint8_t> secret(kKeySize, 0x9c);
  heap.sentinel = secret;
  void* const plain = OPENSSL_malloc(256);
  std::memcpy(plain, secret.data(), secret.size());
  OPENSSL_free(plain);
  EXPECT_EQ(std::exchange(heap.leaks, 0), 1) << "the search finds";

  std::vector<std::uint8_t> out(kMaxRecord);
  {
    const AesGcm cipher(test::key_from(secret));
    EXPECT_TRUE(heap.in_use()) << "the search finds";
  }
  EXPECT_EQ(heap.leaks, 0) << "destroyed";
  for (const Suite suite : test::kSuites) {
    alignas(Channel) unsigned char memory[sizeof(Channel)];
    const auto holds = [&] {
      return heap.in_use() ||
             ::memmem(memory, sizeof memory, secret.data(), secret.size()) != nullptr;
    };
    auto* const channel =
        std::construct_at(reinterpret_cast<Channel*>(memory),
                          ChannelAt::make(suite, test::key_from(secret), 0, Role::initiator));
    EXPECT_EQ(heap.in_use(), suite == Suite::aesgcm) << "OpenSSL keeps its keys on the heap";
    EXPECT_TRUE(holds());
    // One direction rekeys as sender, the other as receiver of the very same record.
    ASSERT_TRUE(channel->rekey(out, Time{}));
    EXPECT_TRUE(holds()) << "the receiver has yet to";
    ASSERT_EQ(channel->open(out).event, Opened::Event::rekey);
    EXPECT_FALSE(holds()) << "rekeyed: " << test::name(suite);
    std::destroy_at(channel);
  }
  {
    Channel channel = ChannelAt::make(Suite::aesgcm, test::key_from(secret), 0, Role::initiator);
    out.assign(out.size(), 1);
    EXPECT_EQ(channel.open(out).event, Opened::Event::failed);
  }
  EXPECT_EQ(heap.leaks, 0);
  heap.sentinel = {};
}

}  // namespace
}  // namespace leat::crypto
