// The handshake as an object: its turns, its faults, what it leaves behind. What a relay can do to
// it is in attack_test.cc.
#include "crypto/handshake.h"

#include <gtest/gtest.h>
#include <string.h>

#include <array>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "crypto/fixed.h"

namespace leat::crypto {
namespace {

using test::Buffer;
using test::kPatterns;
using test::Parties;

static_assert(!std::is_copy_constructible_v<Handshake> && !std::is_copy_assignable_v<Handshake>);
static_assert(!std::is_copy_constructible_v<Channel> && !std::is_copy_constructible_v<Key>);
static_assert(!std::is_convertible_v<std::array<std::uint8_t, 32>, X25519Key>);
template <typename T>
concept FinishesInPlace = requires(T& handshake) {
  handshake.finish(Suite::aesgcm, Time{});
};
static_assert(!FinishesInPlace<Handshake>, "a handshake is consumed");

TEST(Handshake, BothSidesAgree) {
  const Parties parties;
  for (const Pattern pattern : kPatterns) {
    auto client = parties.initiator(pattern);
    auto agent = parties.responder(pattern);
    const auto message_1 = test::write(client, as_bytes("a claim"));
    ASSERT_TRUE(message_1);
    EXPECT_EQ(message_1->size(), kMessage1 + 7);
    EXPECT_EQ(test::read(agent, *message_1), Buffer({'a', ' ', 'c', 'l', 'a', 'i', 'm'}));
    EXPECT_EQ(agent.claimed_peer(), parties.client.public_key());
    const auto message_2 = test::write(agent, {});
    ASSERT_TRUE(message_2);
    EXPECT_EQ(message_2->size(), kMessage2);
    EXPECT_EQ(test::read(client, *message_2), Buffer());
    auto at_client = std::move(client).finish(Suite::aesgcm, Time{});
    auto at_agent = std::move(agent).finish(Suite::aesgcm, Time{});
    ASSERT_TRUE(at_client && at_agent);
    EXPECT_EQ(at_client->binding(), at_agent->binding());
    EXPECT_TRUE(at_client->confirmed());
    ASSERT_NE(at_client->peer(), nullptr);
    EXPECT_EQ(*at_client->peer(), parties.agent.public_key());
  }
}

TEST(Handshake, NoTwoSessionsAreAlike) {
  const Parties parties;
  const auto one = test::connect(Suite::aesgcm, Pattern::ik, parties);
  const auto other = test::connect(Suite::aesgcm, Pattern::ik, parties);
  EXPECT_NE(one.client.binding(), other.client.binding());
}

// §7.2: message 1 can be replayed. The agent goes along with it, and learns nothing it may act on.
TEST(Handshake, AReplayedMessageConfirmsNothing) {
  const Parties parties;
  auto client = parties.initiator(Pattern::ik);
  const Buffer message_1 = test::write(client, as_bytes("hello")).value();
  auto first = parties.responder(Pattern::ik), second = parties.responder(Pattern::ik);
  ASSERT_TRUE(test::read(first, message_1));
  ASSERT_TRUE(test::read(second, message_1)) << "a replay looks like the original";
  const Buffer message_2 = test::write(first, {}).value();
  ASSERT_TRUE(test::write(second, {}));
  ASSERT_TRUE(test::read(client, message_2));
  auto at_client = std::move(client).finish(Suite::aesgcm, Time{}).value();
  auto at_first = std::move(first).finish(Suite::aesgcm, Time{}).value();
  auto at_second = std::move(second).finish(Suite::aesgcm, Time{}).value();
  EXPECT_FALSE(at_first.confirmed() || at_second.confirmed());
  EXPECT_EQ(at_first.peer(), nullptr);

  const Buffer record = test::seal(at_client, "now it is me");
  Buffer copy = record;
  EXPECT_EQ(at_second.open(copy).event, Opened::Event::failed);
  EXPECT_FALSE(at_second.confirmed());
  EXPECT_EQ(at_second.peer(), nullptr);
  copy = record;
  EXPECT_EQ(at_first.open(copy).event, Opened::Event::data);
  EXPECT_TRUE(at_first.confirmed());
  ASSERT_NE(at_first.peer(), nullptr);
  EXPECT_EQ(*at_first.peer(), parties.client.public_key());
}

// Every call in every state: one that is not the turn's is final.
TEST(Handshake, OnlyInTurn) {
  using Step = std::function<bool(Handshake&)>;
  const Parties parties;
  auto other_client = parties.initiator(Pattern::ik);
  const Buffer message_1 = test::write(other_client, {}).value();
  auto client = parties.initiator(Pattern::ik);
  auto agent = parties.responder(Pattern::ik);
  const Step write = [](Handshake& h) { return test::write(h, {}).has_value(); };
  const Step read_1 = [&](Handshake& h) { return test::read(h, message_1).has_value(); };
  Buffer message_2;
  const Step read_2 = [&](Handshake& h) { return test::read(h, message_2).has_value(); };
  const Step finish = [](Handshake& h) {
    return std::move(h).finish(Suite::nacl, Time{}).has_value();
  };

  const auto client_at = [&](int turn) {
    auto handshake = parties.initiator(Pattern::ik);
    if (turn > 0) {
      auto peer = parties.responder(Pattern::ik);
      test::read(peer, test::write(handshake, {}).value()).value();
      message_2 = test::write(peer, {}).value();
    }
    if (turn > 1) {
      EXPECT_TRUE(read_2(handshake));
    }
    if (turn > 2) {
      EXPECT_TRUE(finish(handshake));
    }
    return handshake;
  };
  const auto agent_at = [&](int turn) {
    auto handshake = parties.responder(Pattern::ik);
    if (turn > 0) {
      EXPECT_TRUE(read_1(handshake));
    }
    if (turn > 1) {
      EXPECT_TRUE(write(handshake));
    }
    if (turn > 2) {
      EXPECT_TRUE(finish(handshake));
    }
    return handshake;
  };
  const Step client_steps[] = {write, read_2, finish}, agent_steps[] = {read_1, write, finish};
  for (int turn = 0; turn < 4; ++turn) {
    for (int step = 0; step < 3; ++step) {
      SCOPED_TRACE(testing::Message() << "turn " << turn << ", step " << step);
      auto of_client = client_at(turn);
      EXPECT_EQ(client_steps[step](of_client), turn == step);
      auto of_agent = agent_at(turn);
      EXPECT_EQ(agent_steps[step](of_agent), turn == step);
      if (turn == step) continue;
      for (int again = 0; again < 3; ++again) {
        EXPECT_FALSE(client_steps[again](of_client)) << "poisoned";
        EXPECT_FALSE(agent_steps[again](of_agent));
      }
    }
  }
}

template <typename T>
HandshakeFault fault(const tl::expected<T, HandshakeFault>& result) {
  EXPECT_FALSE(result);
  return result ? HandshakeFault{0xff} : result.error();
}

TEST(Handshake, Sizes) {
  const Parties parties;
  Buffer out(kMessage1 + kMaxPayload), payload(kMaxPayload);
  {
    auto client = parties.initiator(Pattern::ik);
    EXPECT_EQ(fault(client.write(Buffer(kMaxPayload + 1), out)), HandshakeFault::bad_length);
    EXPECT_EQ(fault(client.write({}, out)), HandshakeFault::out_of_turn);
  }
  {
    auto client = parties.initiator(Pattern::ik);
    EXPECT_EQ(fault(client.write(payload, std::span(out).first(out.size() - 1))),
              HandshakeFault::no_room);
  }
  auto client = parties.initiator(Pattern::ik);
  EXPECT_EQ(client.write(payload, out), out.size());
  {
    auto agent = parties.responder(Pattern::ik);
    EXPECT_EQ(fault(agent.read(out, std::span(payload).first(kMaxPayload - 1))),
              HandshakeFault::no_room);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kMessage1 - 1}) {
    auto agent = parties.responder(Pattern::ik);
    EXPECT_EQ(fault(agent.read(std::span(out).first(size), payload)), HandshakeFault::bad_length);
  }
  Buffer longer = out;
  longer.push_back(0);
  auto agent = parties.responder(Pattern::ik);
  EXPECT_EQ(fault(agent.read(longer, payload)), HandshakeFault::bad_length);
  EXPECT_EQ(fault(agent.read(out, payload)), HandshakeFault::out_of_turn) << "poisoned";
  auto sound = parties.responder(Pattern::ik);
  EXPECT_EQ(sound.read(out, payload), kMaxPayload);
}

TEST(Handshake, ThePskComesInTime) {
  const Parties parties;
  const std::string prologue = sealed_prologue(parties.agent.public_key());
  auto client = parties.initiator(Pattern::ik_psk2);
  const Buffer message_1 = test::write(client, as_bytes("pairing id")).value();
  const auto agent_after_message_1 = [&] {
    auto agent = Handshake::responder(Pattern::ik_psk2, as_bytes(prologue), parties.agent);
    EXPECT_TRUE(test::read(agent, message_1));
    return agent;
  };
  auto without = agent_after_message_1();
  EXPECT_EQ(fault(test::write(without, {})), HandshakeFault::no_psk);
  auto late = agent_after_message_1();
  late.set_psk(parties.psk);
  const auto message_2 = test::write(late, {});
  ASSERT_TRUE(message_2);
  EXPECT_TRUE(test::read(client, *message_2));

  auto forgetful = Handshake::initiator(Pattern::ik_psk2, as_bytes(prologue), parties.client,
                                        parties.agent.public_key());
  ASSERT_TRUE(test::write(forgetful, {}));
  EXPECT_EQ(fault(test::read(forgetful, *message_2)), HandshakeFault::no_psk);
}

// RFC 7748 §6.1; the points of order 1, 2, 4 and 8, and one not in canonical form.
constexpr std::string_view kLowOrder[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

TEST(Handshake, PointsOfLowOrderAreRefused) {
  const Parties parties;
  const std::string prologue = sealed_prologue(parties.agent.public_key());
  for (const std::string_view text : kLowOrder) {
    SCOPED_TRACE(text);
    const Buffer point = test::from_hex(text);
    // As the agent's static key.
    auto client = Handshake::initiator(Pattern::ik, {}, parties.client, test::public_from(point));
    EXPECT_EQ(fault(test::write(client, {})), HandshakeFault::low_order);
    // As the ephemeral key of message 1, and of message 2.
    auto sound = parties.initiator(Pattern::ik);
    Buffer message = test::write(sound, {}).value();
    auto agent = parties.responder(Pattern::ik);
    ASSERT_TRUE(test::read(agent, message));
    std::copy(point.begin(), point.end(), message.begin());
    auto deceived = parties.responder(Pattern::ik);
    EXPECT_EQ(fault(test::read(deceived, message)), HandshakeFault::low_order);
    message = test::write(agent, {}).value();
    std::copy(point.begin(), point.end(), message.begin());
    EXPECT_EQ(fault(test::read(sound, message)), HandshakeFault::low_order);
    // As the client's static key, in a message 1 that is otherwise perfect.
    const KeyPair ephemeral = KeyPair::generate();
    SymmetricState state("Noise_IK_25519_AESGCM_SHA256");
    state.mix_hash(as_bytes(prologue));
    state.mix_hash(parties.agent.public_key().bytes);
    state.mix_hash(ephemeral.public_key().bytes);
    state.mix_key(ephemeral.agree(parties.agent.public_key())->reveal());
    message.assign(ephemeral.public_key().bytes.begin(), ephemeral.public_key().bytes.end());
    message.resize(kMessage1);
    state.encrypt_and_hash(point, std::span(message).subspan(32, 48));
    auto host = parties.responder(Pattern::ik);
    EXPECT_EQ(fault(test::read(host, message)), HandshakeFault::low_order);
    EXPECT_EQ(fault(test::write(host, {})), HandshakeFault::out_of_turn) << "poisoned";
  }
}

bool contains(const void* memory, std::size_t size, Bytes secret) {
  return ::memmem(memory, size, secret.data(), secret.size()) != nullptr;
}

// An object in memory of the test's own, looked at after it has gone.
template <typename T>
class Storage {
 public:
  template <typename... Arguments>
  explicit Storage(Arguments&&... arguments) {
    object_ =
        std::construct_at(reinterpret_cast<T*>(bytes_), std::forward<Arguments>(arguments)...);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage() {
    if (object_ != nullptr) std::destroy_at(object_);
  }
  T& operator*() { return *object_; }
  T* operator->() { return object_; }
  void destroy() { std::destroy_at(std::exchange(object_, nullptr)); }
  bool holds(Bytes secret) const { return contains(bytes_, sizeof bytes_, secret); }

 private:
  alignas(T) unsigned char bytes_[sizeof(T)]{};
  T* object_ = nullptr;
};

TEST(Handshake, SecretsAreErased) {
  const Parties parties;
  const Buffer ephemeral(32, 0x5e), psk(parties.psk.reveal().begin(), parties.psk.reveal().end());
  const auto prepared = [&] {
    auto handshake = parties.initiator(Pattern::ik_psk2);
    FixedEphemeral::set(handshake, test::key_from(ephemeral));
    return handshake;
  };
  {
    Storage<Handshake> handshake(prepared());
    EXPECT_TRUE(handshake.holds(ephemeral) && handshake.holds(psk)) << "the search finds";
    handshake.destroy();
    EXPECT_FALSE(handshake.holds(ephemeral) || handshake.holds(psk)) << "destroyed";
  }
  {
    Storage<Handshake> handshake(prepared());
    const Handshake taken = std::move(*handshake);
    EXPECT_FALSE(handshake.holds(ephemeral) || handshake.holds(psk)) << "moved away";
    EXPECT_EQ(fault(test::write(*handshake, {})), HandshakeFault::out_of_turn);
  }
  {
    Storage<Handshake> handshake(prepared());
    EXPECT_FALSE(test::read(*handshake, {}));
    EXPECT_FALSE(handshake.holds(ephemeral) || handshake.holds(psk)) << "failed";
  }
  {
    Storage<Handshake> handshake(prepared());
    auto agent = parties.responder(Pattern::ik_psk2);
    ASSERT_TRUE(test::read(agent, test::write(*handshake, {}).value()));
    ASSERT_TRUE(test::read(*handshake, test::write(agent, {}).value()));
    const auto [first, second] = FixedEphemeral::split(*handshake);
    ASSERT_TRUE(std::move(*handshake).finish(Suite::nacl, Time{}));
    EXPECT_FALSE(handshake.holds(ephemeral) || handshake.holds(psk)) << "finished";
  }
}

TEST(Key, IsWiped) {
  const Buffer secret(32, 0xa7);
  Storage<Key> key(test::key_from(secret));
  EXPECT_TRUE(key.holds(secret));
  {
    Storage<Key> other(std::move(*key));
    EXPECT_TRUE(other.holds(secret) && !key.holds(secret));
    *key = std::move(*other);
    EXPECT_TRUE(!other.holds(secret) && key.holds(secret));
  }
  key.destroy();
  EXPECT_FALSE(key.holds(secret));
}

TEST(Key, PairingPskIsHkdfOfTheSecret) {
  const Key one = pairing_psk(as_bytes("0123456789abcdef")), other = pairing_psk(as_bytes("0123"));
  EXPECT_FALSE(one == other);
  EXPECT_TRUE(one == pairing_psk(as_bytes("0123456789abcdef")));
}

TEST(Handshake, FaultsHaveNames) {
  for (int i = 0; i <= static_cast<int>(HandshakeFault::out_of_turn); ++i) {
    EXPECT_NE(name(static_cast<HandshakeFault>(i)), "unknown");
  }
}

}  // namespace
}  // namespace leat::crypto
