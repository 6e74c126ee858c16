// A hostile relay, message by message (threats 23): whatever it does to a session, the side that is
// lied to has received a prefix of what was sent to it, at most up to the message touched, and
// takes nothing for an end.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "crypto/fixed.h"
#include "crypto/unit.h"

namespace leat::crypto {
namespace {

using test::Buffer;
using test::Parties;
using Event = Opened::Event;

#ifdef LEAT_SANITIZED
constexpr std::size_t kStride = 17;  // of the bytes that are tried
constexpr int kRandomFlips = 20'000;
#else
constexpr std::size_t kStride = 1;
constexpr int kRandomFlips = 1'000'000;
#endif

// What either side sends after the handshake: data, rekey (empty) and, last, the end.
const std::vector<std::string> kScript = {"first", "second", "", "under the new key", "fourth"};
constexpr std::size_t kMessages = 7;  // of each direction: handshake, script, end

struct Setting {
  Pattern pattern;
  Suite suite;
};

std::vector<Setting> settings() {
  std::vector<Setting> out;
  for (const Pattern pattern : test::kPatterns) {
    for (const Suite suite : test::kSuites) out.push_back({pattern, suite});
  }
  return out;
}

// One end of a session, as an owner would write it.
class Side {
 public:
  Side(Role role, const Setting& setting, const Parties& parties)
      : role_(role), suite_(setting.suite) {
    if (role == Role::initiator) {
      handshake_.emplace(parties.initiator(setting.pattern));
    } else {
      responder_ = [&parties](Pattern pattern) { return parties.responder(pattern); };
    }
    kind_ = hello_kind(setting.pattern);
  }

  // The `index`-th message, if this side has come so far.
  std::optional<Buffer> say(std::size_t index) {
    if (index == 0) return say_handshake();
    if (!channel_ || channel_->fault() != Fault::none) return std::nullopt;
    if (index > kScript.size()) return test::seal_end(*channel_);
    const std::string& content = kScript[index - 1];
    return content.empty() ? test::seal_rekey(*channel_) : test::seal(*channel_, content);
  }

  void hear(Bytes bytes) {
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    while (step()) {
    }
  }

  bool ended() const { return channel_ && !failed_ && channel_->ended(); }
  bool failed() const { return failed_ || (channel_ && channel_->fault() != Fault::none); }
  bool confirmed() const { return channel_ && channel_->confirmed(); }
  const std::vector<std::string>& received() const { return received_; }
  Channel* channel() { return channel_ ? &*channel_ : nullptr; }

 private:
  std::optional<Buffer> say_handshake() {
    if (!handshake_ || failed_) return std::nullopt;
    Buffer out(kMaxUnit);
    const auto size = handshake_->write(as_bytes("a payload"), std::span(out).subspan(kUnitHeader));
    if (!size) return std::nullopt;
    out.resize(write_unit_header(out, role_ == Role::initiator ? kind_ : UnitKind::reply, *size));
    if (role_ == Role::responder) channel_ = std::move(*handshake_).finish(suite_, Time{});
    return out;
  }

  bool step() {
    if (failed()) return false;
    if (channel_) return hear_record();
    const Role peer = role_ == Role::initiator ? Role::responder : Role::initiator;
    const Unit unit = read_unit(held_, peer);
    if (unit.state == Unit::State::more || (handshake_ && role_ == Role::responder)) return false;
    failed_ = unit.state == Unit::State::bad || unit.kind == UnitKind::refused;
    if (failed_) return false;
    if (role_ == Role::responder) handshake_.emplace(responder_(unit.pattern()));
    Buffer payload(kMaxPayload);
    const auto size = handshake_->read(unit.body, payload);
    failed_ = !size || as_chars(Bytes(payload).first(*size)) != "a payload";
    if (failed_) return false;
    drop(unit.size);
    if (role_ == Role::initiator) channel_ = std::move(*handshake_).finish(suite_, Time{});
    return true;
  }

  bool hear_record() {
    const Opened opened = channel_->open(held_);
    if (opened.event == Event::data) received_.push_back(std::string(as_chars(opened.content)));
    drop(opened.used);
    return opened.event != Event::more && opened.event != Event::failed;
  }

  void drop(std::size_t size) {
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(size));
  }

  Role role_;
  Suite suite_;
  UnitKind kind_;
  std::function<Handshake(Pattern)> responder_;
  std::optional<Handshake> handshake_;
  std::optional<Channel> channel_;
  Buffer held_;
  std::vector<std::string> received_;
  bool failed_ = false;
};

Role other(Role role) { return role == Role::initiator ? Role::responder : Role::initiator; }

struct Delivery {
  Role to;
  Buffer bytes;
};
// What the relay makes of the `index`-th message of `from`.
using Relay = std::function<std::vector<Delivery>(Role from, std::size_t index, Buffer message)>;

struct Session {
  Session(const Setting& setting, const Parties& parties) : Session(setting, setting, parties) {}
  Session(const Setting& at_client, const Setting& at_agent, const Parties& parties)
      : client(Role::initiator, at_client, parties), agent(Role::responder, at_agent, parties) {}
  Side& side(Role role) { return role == Role::initiator ? client : agent; }

  void run(const Relay& relay) {
    for (std::size_t index = 0; index < kMessages; ++index) {
      for (const Role from : {Role::initiator, Role::responder}) {
        auto message = side(from).say(index);
        if (!message) continue;
        for (const Delivery& each : relay(from, index, std::move(*message))) {
          side(each.to).hear(each.bytes);
        }
      }
    }
  }

  Side client, agent;
};

std::vector<Delivery> honest(Role from, std::size_t, Buffer message) {
  return {{other(from), std::move(message)}};
}

std::vector<std::string> data_before(std::size_t index) {
  std::vector<std::string> out;
  for (std::size_t i = 1; i < std::min(index, kScript.size() + 1); ++i) {
    if (!kScript[i - 1].empty()) out.push_back(kScript[i - 1]);
  }
  return out;
}

bool is_prefix(const std::vector<std::string>& part, const std::vector<std::string>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

// Runs a session with `relay`, which touches message `index` of `from` or what follows it.
// `whole`: messages that still arrive as they were sent.
void expect_caught(const Setting& setting, const Parties& parties, Role from, std::size_t whole,
                   const Relay& relay) {
  Session session(setting, parties);
  session.run(relay);
  Side& victim = session.side(other(from));
  EXPECT_FALSE(victim.ended()) << "a tampered stream is no clean end";
  EXPECT_EQ(victim.received(), data_before(whole));
  EXPECT_TRUE(is_prefix(session.side(from).received(), data_before(kMessages)));
}

void each_message(const std::function<void(const Setting&, Role, std::size_t)>& attempt) {
  for (const Setting& setting : settings()) {
    for (const Role from : {Role::initiator, Role::responder}) {
      for (std::size_t index = 0; index < kMessages; ++index) {
        SCOPED_TRACE(testing::Message()
                     << (setting.pattern == Pattern::ik ? "IK " : "IKpsk2 ")
                     << test::name(setting.suite) << ", message " << index << " of the "
                     << (from == Role::initiator ? "client" : "agent"));
        attempt(setting, from, index);
      }
    }
  }
}

// The relay that replaces one message.
Relay instead(Role from, std::size_t index, std::function<std::vector<Delivery>(Buffer)> change) {
  return [=](Role f, std::size_t i, Buffer message) {
    return f == from && i == index ? change(std::move(message)) : honest(f, i, std::move(message));
  };
}

std::size_t size_of(const Setting& setting, const Parties& parties, Role from, std::size_t index) {
  std::size_t size = 0;
  Session(setting, parties).run(instead(from, index, [&](Buffer message) {
    size = message.size();
    return honest(from, index, std::move(message));
  }));
  return size;
}

TEST(Attack, NoneAndEverythingArrives) {
  for (const Setting& setting : settings()) {
    const Parties parties;
    Session session(setting, parties);
    session.run(honest);
    for (Side* side : {&session.client, &session.agent}) {
      EXPECT_EQ(side->received(), data_before(kMessages));
      EXPECT_TRUE(side->ended() && side->confirmed());
    }
  }
}

TEST(Attack, FlipAnyByte) {
  const Parties parties;
  each_message([&](const Setting& setting, Role from, std::size_t index) {
    const std::size_t size = size_of(setting, parties, from, index);
    ASSERT_GT(size, 0u);
    // Every bit where it costs little, else one of each byte.
    const bool every_bit = setting.pattern == Pattern::ik && setting.suite == Suite::aesgcm;
    for (std::size_t bit = 0; bit < size * 8; bit += kStride) {
      if (!every_bit && bit % 8 != (bit / 8 + index) % 8) continue;
      SCOPED_TRACE(testing::Message() << "bit " << bit);
      expect_caught(setting, parties, from, index, instead(from, index, [&](Buffer message) {
                      message[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
                      return honest(from, index, std::move(message));
                    }));
    }
  });
}

TEST(Attack, TruncateAnywhere) {
  const Parties parties;
  each_message([&](const Setting& setting, Role from, std::size_t index) {
    const std::size_t size = size_of(setting, parties, from, index);
    for (std::size_t kept = 0; kept < size; kept += kStride) {
      SCOPED_TRACE(testing::Message() << kept << " bytes kept");
      const Relay cut = [&](Role f, std::size_t i, Buffer message) -> std::vector<Delivery> {
        if (f != from || i < index) return honest(f, i, std::move(message));
        if (i > index) return {};
        message.resize(kept);
        return honest(f, i, std::move(message));
      };
      expect_caught(setting, parties, from, index, cut);
    }
  });
}

TEST(Attack, Drop) {
  const Parties parties;
  each_message([&](const Setting& setting, Role from, std::size_t index) {
    expect_caught(setting, parties, from, index,
                  instead(from, index, [](Buffer) { return std::vector<Delivery>(); }));
  });
}

TEST(Attack, Replay) {
  const Parties parties;
  each_message([&](const Setting& setting, Role from, std::size_t index) {
    // At once, and later in place of each message that follows.
    expect_caught(setting, parties, from, index + 1, instead(from, index, [&](Buffer message) {
                    return std::vector<Delivery>{{other(from), message}, {other(from), message}};
                  }));
    for (std::size_t later = index + 1; later < kMessages; ++later) {
      Buffer kept;
      expect_caught(setting, parties, from, later, [&](Role f, std::size_t i, Buffer message) {
        if (f == from && i == index) kept = message;
        return honest(f, i, f == from && i == later ? kept : std::move(message));
      });
    }
  });
}

TEST(Attack, Reorder) {
  const Parties parties;
  each_message([&](const Setting& setting, Role from, std::size_t index) {
    if (index + 1 == kMessages) return;
    Buffer kept;
    const auto swap = [&](Role f, std::size_t i, Buffer message) -> std::vector<Delivery> {
      if (f == from && i == index) {
        kept = std::move(message);
        return {};
      }
      if (f == from && i == index + 1) return {{other(from), message}, {other(from), kept}};
      return honest(f, i, std::move(message));
    };
    expect_caught(setting, parties, from, index, swap);
  });
}

TEST(Attack, Reflect) {
  const Parties parties;
  each_message([&](const Setting& setting, Role from, std::size_t index) {
    Session session(setting, parties);
    session.run(instead(from, index, [&](Buffer message) {
      return std::vector<Delivery>{{from, message}};
    }));
    Side& sender = session.side(from);
    EXPECT_TRUE(sender.failed());
    EXPECT_FALSE(sender.ended() || session.side(other(from)).ended());
    EXPECT_TRUE(is_prefix(sender.received(), data_before(index + 1)));
    EXPECT_EQ(session.side(other(from)).received(), data_before(index));
  });
}

TEST(Attack, Insert) {
  const Parties parties;
  each_message([&](const Setting& setting, Role from, std::size_t index) {
    for (const std::size_t size : {1u, 2u, 21u, 300u}) {
      Buffer junk(size, 'j');
      if (size > 2) store_be16(junk.data(), static_cast<std::uint16_t>(size - 2));
      expect_caught(setting, parties, from, index, instead(from, index, [&](Buffer message) {
                      return std::vector<Delivery>{{other(from), junk}, {other(from), message}};
                    }));
    }
  });
}

// The same two parties at another time: the same message of another session.
TEST(Attack, Splice) {
  const Parties parties;
  each_message([&](const Setting& setting, Role from, std::size_t index) {
    Buffer foreign;
    Session(setting, parties).run(instead(from, index, [&](Buffer message) {
      foreign = message;
      return honest(from, index, std::move(message));
    }));
    Session session(setting, parties);
    session.run(instead(from, index, [&](Buffer) { return honest(from, index, foreign); }));
    // A whole message 1 is a replay: the agent answers, but nobody can go on from there.
    const bool replayed_hello = from == Role::initiator && index == 0;
    EXPECT_FALSE(session.side(other(from)).ended());
    EXPECT_EQ(session.side(other(from)).received(), data_before(index));
    if (replayed_hello) {
      EXPECT_FALSE(session.agent.confirmed());
      EXPECT_TRUE(session.client.failed());
    }
  });
}

// In the middle with keys of its own: as the agent to the client, as a client to the agent.
TEST(Attack, SwapKeys) {
  for (const Setting& setting : settings()) {
    const Parties parties;
    Parties impostor;  // its own keys, towards the client; it may know the psk
    impostor.psk = parties.psk.copy();
    Side client(Role::initiator, setting, parties);
    Side false_agent(Role::responder, setting, impostor);
    false_agent.hear(client.say(0).value());
    EXPECT_TRUE(false_agent.failed()) << "message 1 is for the pinned key";
    EXPECT_EQ(false_agent.say(0), std::nullopt);

    // It may answer with what it likes, made for the client's ephemeral key.
    Parties towards_agent;
    towards_agent.agent = KeyPair(parties.agent.secret().copy());  // the public half is known
    towards_agent.psk = parties.psk.copy();
    Side false_client(Role::initiator, setting, towards_agent);
    Side agent(Role::responder, setting, parties);
    agent.hear(false_client.say(0).value());
    const Buffer reply = agent.say(0).value();
    client.hear(reply);
    EXPECT_TRUE(client.failed()) << "an answer to another's message 1";
    false_client.hear(reply);
    agent.hear(false_client.say(1).value());
    ASSERT_TRUE(agent.confirmed());
    EXPECT_EQ(*agent.channel()->peer(), towards_agent.client.public_key())
        << "it can speak for itself only";
  }
}

TEST(Attack, SwapEphemeralKeys) {
  const Parties parties;
  for (const Setting& setting : settings()) {
    for (const Role from : {Role::initiator, Role::responder}) {
      const X25519Key own = KeyPair::generate().public_key();
      expect_caught(setting, parties, from, 0, instead(from, 0, [&](Buffer message) {
                      std::copy(own.bytes.begin(), own.bytes.end(), message.begin() + kUnitHeader);
                      return honest(from, 0, std::move(message));
                    }));
    }
  }
}

// From the pattern with psk to the one without and back, and to kinds that do not exist.
TEST(Attack, DowngradeThePattern) {
  const Parties parties;
  for (const Setting& setting : settings()) {
    for (const Role from : {Role::initiator, Role::responder}) {
      for (int kind = 0; kind < 256; ++kind) {
        const UnitKind sent =
            from == Role::initiator ? hello_kind(setting.pattern) : UnitKind::reply;
        if (kind == static_cast<int>(sent)) continue;
        expect_caught(setting, parties, from, 0, instead(from, 0, [&](Buffer message) {
                        message[2] = static_cast<std::uint8_t>(kind);
                        return honest(from, 0, std::move(message));
                      }));
      }
    }
  }
}

// Sides that do not agree on the suite do not agree on anything.
TEST(Attack, DowngradeTheSuite) {
  const Parties parties;
  for (const Pattern pattern : test::kPatterns) {
    for (const Suite suite : test::kSuites) {
      const Suite wrong = suite == Suite::nacl ? Suite::aesgcm : Suite::nacl;
      Session session({pattern, suite}, {pattern, wrong}, parties);
      session.run(honest);
      for (Side* side : {&session.client, &session.agent}) {
        EXPECT_TRUE(side->received().empty() && !side->ended());
      }
      EXPECT_TRUE(session.agent.failed() && !session.agent.confirmed());
    }
  }
}

TEST(Attack, ARefusalEndsAndSaysNothing) {
  const Parties parties;
  const std::string refused = refused_unit("LEAT_REVOKED");
  for (const Setting& setting : settings()) {
    expect_caught(setting, parties, Role::responder, 0, instead(Role::responder, 0, [&](Buffer) {
                    return honest(Role::responder, 0, Buffer(refused.begin(), refused.end()));
                  }));
  }
}

TEST(Attack, WrongPsk) {
  const Parties parties;
  for (const Suite suite : test::kSuites) {
    const Setting setting{Pattern::ik_psk2, suite};
    Parties guesser;
    guesser.agent = KeyPair(parties.agent.secret().copy());
    guesser.psk = pairing_psk(as_bytes("a guess"));
    Side client(Role::initiator, setting, guesser), agent(Role::responder, setting, parties);
    agent.hear(client.say(0).value());
    client.hear(agent.say(0).value());
    EXPECT_TRUE(client.failed()) << "the answer cannot be read without it";
    EXPECT_FALSE(agent.confirmed());
    EXPECT_EQ(client.say(1), std::nullopt);
  }
}

TEST(Attack, WrongStaticKeysAndPrologue) {
  const Parties parties, strangers;
  const auto fault_of = [&](const X25519Key& pinned, std::string_view prologue) {
    auto client = Handshake::initiator(Pattern::ik, as_bytes(prologue), parties.client, pinned);
    auto agent = parties.responder(Pattern::ik);
    const auto read = test::read(agent, test::write(client, {}).value());
    return read ? std::nullopt : std::optional(read.error());
  };
  const std::string right = sealed_prologue(parties.agent.public_key());
  EXPECT_EQ(fault_of(parties.agent.public_key(), right), std::nullopt);
  EXPECT_EQ(fault_of(strangers.agent.public_key(), right), HandshakeFault::not_authentic);
  EXPECT_EQ(fault_of(parties.agent.public_key(), "leat/2 sealed"), HandshakeFault::not_authentic);
  EXPECT_EQ(fault_of(parties.agent.public_key(), ""), HandshakeFault::not_authentic);
}

// The fault matrix: 0 of 10^6 flips accepted.
TEST(Attack, AMillionBitFlips) {
  std::mt19937 random(20260101);
  int tried = 0, accepted = 0;
  for (const Suite suite : test::kSuites) {
    Channel sender = ChannelAt::make(suite, Key(), 7, Role::initiator);
    const Buffer record = test::seal(sender, std::string(100, 'r'));
    for (int i = 0; i < kRandomFlips / 2; ++i, ++tried) {
      Buffer damaged = record;
      damaged.push_back(0);  // a length that has grown by one finds its byte
      const std::size_t bit = random() % (record.size() * 8);
      damaged[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
      Channel channel = ChannelAt::make(suite, Key(), 7, Role::responder);
      const Opened opened = channel.open(damaged);
      accepted += opened.event != Event::failed && opened.event != Event::more;
      accepted += !opened.content.empty();
    }
  }
  EXPECT_EQ(tried, kRandomFlips);
  EXPECT_EQ(accepted, 0);
}

}  // namespace
}  // namespace leat::crypto
