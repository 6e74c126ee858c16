// What the tests of src/crypto fix or take apart and nobody else may: ephemeral keys, split keys,
// counters near their end; and the pair of channels that most of them begin with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/crypto_util.h"
#include "crypto/channel.h"
#include "crypto/handshake.h"

namespace leat::crypto {

struct FixedEphemeral {
  static void set(Handshake& handshake, Key secret) {
    handshake.ephemeral_.emplace(std::move(secret));
  }
  // The first is the initiator's.
  static std::pair<Key, Key> split(const Handshake& handshake) { return handshake.state_->split(); }
  static const Sha256& hash(const Handshake& handshake) { return handshake.state_->hash(); }
};

struct ChannelAt {
  // Both directions under `key`, so that a channel may be told what another has sealed.
  static Channel make(Suite suite, const Key& key, std::uint64_t counter, Role role) {
    Channel channel({key.copy(), key.copy()}, role, suite, {}, {}, Time{});
    channel.out_->cipher = RecordCipher(suite, key, counter);
    channel.in_->cipher = RecordCipher(suite, key, counter);
    return channel;
  }
  static RecordCipher& sending(Channel& channel) { return channel.out_->cipher; }
};

}  // namespace leat::crypto

namespace leat::crypto::test {

using Buffer = std::vector<std::uint8_t>;

inline Buffer from_hex(std::string_view text) {
  const std::string raw = unhex(text).value();
  return {raw.begin(), raw.end()};
}

inline Key key_from(Bytes bytes) { return Key(bytes.first<kKeySize>()); }
inline Key key_from_hex(std::string_view text) { return key_from(from_hex(text)); }

inline X25519Key public_from(Bytes bytes) {
  X25519Key key;
  std::copy_n(bytes.begin(), key.bytes.size(), key.bytes.begin());
  return key;
}

inline constexpr Suite kSuites[] = {Suite::aesgcm, Suite::nacl};
inline constexpr Pattern kPatterns[] = {Pattern::ik, Pattern::ik_psk2};
inline std::string_view name(Suite suite) { return suite == Suite::aesgcm ? "aesgcm" : "nacl"; }

// Writes a handshake message, or reads one, into memory of its own.
inline tl::expected<Buffer, HandshakeFault> write(Handshake& handshake, Bytes payload) {
  Buffer out(kMessage1 + kMaxPayload);
  const auto size = handshake.write(payload, out);
  if (!size) return tl::unexpected(size.error());
  out.resize(*size);
  return out;
}
inline tl::expected<Buffer, HandshakeFault> read(Handshake& handshake, Bytes message) {
  Buffer out(kMaxPayload);
  const auto size = handshake.read(message, out);
  if (!size) return tl::unexpected(size.error());
  out.resize(*size);
  return out;
}

// Client and agent with their keys, and what they say to each other.
struct Parties {
  KeyPair client = KeyPair::generate();
  KeyPair agent = KeyPair::generate();
  Key psk = pairing_psk(as_bytes("one-time secret."));

  Handshake initiator(Pattern pattern) const {
    const std::string prologue = sealed_prologue(agent.public_key());
    auto handshake = Handshake::initiator(pattern, as_bytes(prologue), client, agent.public_key());
    if (pattern == Pattern::ik_psk2) handshake.set_psk(psk);
    return handshake;
  }
  Handshake responder(Pattern pattern) const {
    const std::string prologue = sealed_prologue(agent.public_key());
    auto handshake = Handshake::responder(pattern, as_bytes(prologue), agent);
    if (pattern == Pattern::ik_psk2) handshake.set_psk(psk);
    return handshake;
  }
};

struct Channels {
  Channel client, agent;
};

inline Channels connect(Suite suite, Pattern pattern = Pattern::ik, const Parties& parties = {}) {
  auto client = parties.initiator(pattern);
  auto agent = parties.responder(pattern);
  read(agent, write(client, as_bytes("hello")).value()).value();
  read(client, write(agent, as_bytes("reply")).value()).value();
  return {std::move(client).finish(suite, Time{}).value(),
          std::move(agent).finish(suite, Time{}).value()};
}

inline Buffer seal(Channel& channel, Bytes content, std::size_t padding = 0) {
  Buffer out(kRecordOverhead + content.size() + padding);
  out.resize(channel.seal(content, out, Time{}, padding).value());
  return out;
}
inline Buffer seal(Channel& channel, std::string_view content) {
  return seal(channel, as_bytes(content));
}
inline Buffer seal_rekey(Channel& channel) {
  Buffer out(kRekeyRecord);
  out.resize(channel.rekey(out, Time{}).value());
  return out;
}
inline Buffer seal_end(Channel& channel) {
  Buffer out(kEndRecord);
  out.resize(channel.end(out).value());
  return out;
}

}  // namespace leat::crypto::test
