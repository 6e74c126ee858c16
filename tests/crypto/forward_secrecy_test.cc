// threats: leaking a long-term key must not open a recorded session. A thief with both static keys
// (and the psk) and every byte that passed derives all that can be derived from them.
#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

#include "crypto/fixed.h"
#include "crypto/noise.h"

namespace leat::crypto {
namespace {

using test::Buffer;
using test::Parties;

struct Recording {
  Buffer message_1, message_2, record;
};

Recording record_session(const Parties& parties, Pattern pattern, const KeyPair& client_ephemeral,
                         const KeyPair& agent_ephemeral) {
  Recording out;
  auto client = parties.initiator(pattern);
  auto agent = parties.responder(pattern);
  FixedEphemeral::set(client, client_ephemeral.secret().copy());
  FixedEphemeral::set(agent, agent_ephemeral.secret().copy());
  out.message_1 = test::write(client, as_bytes("who I am")).value();
  test::read(agent, out.message_1).value();
  out.message_2 = test::write(agent, as_bytes("the choice")).value();
  test::read(client, out.message_2).value();
  auto channel = std::move(client).finish(Suite::aesgcm, Time{}).value();
  out.record = test::seal(channel, "the secret");
  return out;
}

// What goes into the chaining key, in order (§7.2); a value not known is guessed or left out.
struct Secrets {
  Key es, ss;
  std::optional<Key> ee;
  Key se;
  std::optional<Key> psk;
};

struct Derived {
  bool message_1 = false, message_2 = false;  // whether they open
  bool record = false;
};

Derived derive(const Recording& recording, const Parties& parties, Pattern pattern,
               const Secrets& secrets) {
  Derived out;
  SymmetricState state(pattern == Pattern::ik ? "Noise_IK_25519_AESGCM_SHA256"
                                              : "Noise_IKpsk2_25519_AESGCM_SHA256");
  const auto ephemeral = [&](Bytes message) {
    state.mix_hash(message.first(32));
    if (pattern == Pattern::ik_psk2) state.mix_key(message.first(32));
  };
  state.mix_hash(as_bytes(sealed_prologue(parties.agent.public_key())));
  state.mix_hash(parties.agent.public_key().bytes);
  const Bytes one = recording.message_1, two = recording.message_2;
  ephemeral(one);
  state.mix_key(secrets.es.reveal());
  Buffer identity(32), payload_1(one.size() - kMessage1), payload_2(two.size() - kMessage2);
  out.message_1 = state.decrypt_and_hash(one.subspan(32, 48), identity);
  state.mix_key(secrets.ss.reveal());
  out.message_1 = out.message_1 && state.decrypt_and_hash(one.subspan(80), payload_1) &&
                  as_chars(payload_1) == "who I am";
  ephemeral(two);
  if (secrets.ee) state.mix_key(secrets.ee->reveal());
  state.mix_key(secrets.se.reveal());
  if (secrets.psk) state.mix_key_and_hash(secrets.psk->reveal());
  out.message_2 = state.decrypt_and_hash(two.subspan(32), payload_2);
  // A wrong tag stops an honest reader; the thief tries the keys all the same.
  const auto [first, second] = state.split();
  for (const Key* key : {&first, &second}) {
    Buffer body(recording.record.begin() + kLengthSize, recording.record.end());
    out.record = out.record || RecordCipher(Suite::aesgcm, *key).open(body);
  }
  return out;
}

TEST(ForwardSecrecy, StaticKeysDoNotOpenARecording) {
  for (const Pattern pattern : test::kPatterns) {
    const Parties parties;
    const KeyPair client_ephemeral = KeyPair::generate(), agent_ephemeral = KeyPair::generate();
    const Recording recording = record_session(parties, pattern, client_ephemeral, agent_ephemeral);
    const X25519Key e_client = test::public_from(recording.message_1),
                    e_agent = test::public_from(recording.message_2);
    ASSERT_EQ(e_client, client_ephemeral.public_key());
    // Every exchange that has a static key at one end.
    const auto stolen = [&](std::optional<Key> ee) {
      Secrets secrets{.es = parties.agent.agree(e_client).value(),
                      .ss = parties.agent.agree(parties.client.public_key()).value(),
                      .ee = std::move(ee),
                      .se = parties.client.agree(e_agent).value()};
      if (pattern == Pattern::ik_psk2) secrets.psk = parties.psk.copy();
      return secrets;
    };
    const Derived whole =
        derive(recording, parties, pattern, stolen(client_ephemeral.agree(e_agent)));
    ASSERT_TRUE(whole.message_1 && whole.message_2 && whole.record) << "the derivation is right";

    const Secrets all = stolen({});
    std::vector<std::optional<Key>> guesses;
    guesses.emplace_back(std::nullopt);
    guesses.emplace_back(Key());
    for (const Key* key : {&all.es, &all.ss, &all.se}) guesses.emplace_back(key->copy());
    for (const KeyPair* own : {&parties.client, &parties.agent}) {
      for (const X25519Key& theirs :
           {e_client, e_agent, parties.client.public_key(), parties.agent.public_key()}) {
        guesses.push_back(own->agree(theirs));
      }
    }
    for (auto& guess : guesses) {
      const Derived thief = derive(recording, parties, pattern, stolen(std::move(guess)));
      EXPECT_TRUE(thief.message_1) << "the known exception: message 1 is for the static key";
      EXPECT_FALSE(thief.message_2);
      EXPECT_FALSE(thief.record);
    }
  }
}

}  // namespace
}  // namespace leat::crypto
