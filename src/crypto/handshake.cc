#include "crypto/handshake.h"

#include <algorithm>
#include <array>
#include <utility>

#include "crypto/hkdf.h"

namespace leat::crypto {
namespace {

constexpr std::size_t kPublic = 32;
constexpr std::size_t kSealedPublic = kPublic + kTagSize;

std::string_view protocol_name(Pattern pattern) {
  return pattern == Pattern::ik ? "Noise_IK_25519_AESGCM_SHA256"
                                : "Noise_IKpsk2_25519_AESGCM_SHA256";
}

}  // namespace

std::string_view name(HandshakeFault fault) {
  switch (fault) {
    case HandshakeFault::bad_length:
      return "bad_length";
    case HandshakeFault::low_order:
      return "low_order";
    case HandshakeFault::not_authentic:
      return "not_authentic";
    case HandshakeFault::no_room:
      return "no_room";
    case HandshakeFault::no_psk:
      return "no_psk";
    case HandshakeFault::out_of_turn:
      return "out_of_turn";
  }
  return "unknown";
}

std::string sealed_prologue(const X25519Key& agent) {
  std::string prologue("leat/1 sealed");
  prologue += '\0';
  prologue += as_chars(agent.bytes);
  return prologue;
}

Key pairing_psk(Bytes one_time_secret) {
  Key psk;
  hkdf_sha256({}, one_time_secret, as_bytes("leat/1 pairing"), psk.fill());
  return psk;
}

Handshake Handshake::initiator(Pattern pattern, Bytes prologue, const KeyPair& own,
                               const X25519Key& peer) {
  return Handshake(Role::initiator, pattern, prologue, own, peer);
}

Handshake Handshake::responder(Pattern pattern, Bytes prologue, const KeyPair& own) {
  return Handshake(Role::responder, pattern, prologue, own, {});
}

// The pre-message of both patterns is the responder's static key.
Handshake::Handshake(Role role, Pattern pattern, Bytes prologue, const KeyPair& own,
                     const X25519Key& peer)
    : role_(role),
      pattern_(pattern),
      turn_(role == Role::initiator ? Turn::write_1 : Turn::read_1),
      own_(&own),
      peer_(peer),
      state_(protocol_name(pattern)) {
  state_->mix_hash(prologue);
  state_->mix_hash(role == Role::initiator ? peer.bytes : own.public_key().bytes);
}

Handshake::Handshake(Handshake&& other) noexcept
    : role_(other.role_),
      pattern_(other.pattern_),
      turn_(std::exchange(other.turn_, Turn::nothing)),
      own_(other.own_),
      peer_(other.peer_),
      peer_ephemeral_(other.peer_ephemeral_),
      state_(std::move(other.state_)),
      ephemeral_(std::move(other.ephemeral_)),
      psk_(std::move(other.psk_)) {
  other.erase();
}

void Handshake::erase() {
  state_.reset();
  ephemeral_.reset();
  psk_.reset();
}

Handshake::Size Handshake::fail(HandshakeFault fault) {
  turn_ = Turn::nothing;
  erase();
  return tl::unexpected(fault);
}

Handshake::Size Handshake::write(Bytes payload, MutableBytes out) {
  const bool first = turn_ == Turn::write_1;
  if (!first && turn_ != Turn::write_2) return fail(HandshakeFault::out_of_turn);
  const std::size_t size = (first ? kMessage1 : kMessage2) + payload.size();
  if (payload.size() > kMaxPayload) return fail(HandshakeFault::bad_length);
  if (out.size() < size) return fail(HandshakeFault::no_room);
  if (!ephemeral_) ephemeral_ = KeyPair::generate();
  return first ? write_1(payload, out.first(size)) : write_2(payload, out.first(size));
}

Handshake::Size Handshake::read(Bytes message, MutableBytes payload) {
  const bool first = turn_ == Turn::read_1;
  if (!first && turn_ != Turn::read_2) return fail(HandshakeFault::out_of_turn);
  const std::size_t least = first ? kMessage1 : kMessage2;
  if (message.size() < least || message.size() > least + kMaxPayload) {
    return fail(HandshakeFault::bad_length);
  }
  if (payload.size() < message.size() - least) return fail(HandshakeFault::no_room);
  payload = payload.first(message.size() - least);
  return first ? read_1(message, payload) : read_2(message, payload);
}

// -> e, es, s, ss
Handshake::Size Handshake::write_1(Bytes payload, MutableBytes out) {
  send_ephemeral(out);
  if (!mix_dh(*ephemeral_, peer_)) return fail(HandshakeFault::low_order);
  state_->encrypt_and_hash(own_->public_key().bytes, out.subspan(kPublic, kSealedPublic));
  if (!mix_dh(*own_, peer_)) return fail(HandshakeFault::low_order);
  state_->encrypt_and_hash(payload, out.subspan(kPublic + kSealedPublic));
  turn_ = Turn::read_2;
  return out.size();
}

Handshake::Size Handshake::read_1(Bytes message, MutableBytes payload) {
  receive_ephemeral(message);
  if (!mix_dh(*own_, peer_ephemeral_)) return fail(HandshakeFault::low_order);
  if (!state_->decrypt_and_hash(message.subspan(kPublic, kSealedPublic), peer_.bytes)) {
    return fail(HandshakeFault::not_authentic);
  }
  if (!mix_dh(*own_, peer_)) return fail(HandshakeFault::low_order);
  if (!state_->decrypt_and_hash(message.subspan(kPublic + kSealedPublic), payload)) {
    return fail(HandshakeFault::not_authentic);
  }
  turn_ = Turn::write_2;
  return payload.size();
}

// <- e, ee, se, and psk in IKpsk2
Handshake::Size Handshake::write_2(Bytes payload, MutableBytes out) {
  if (pattern_ == Pattern::ik_psk2 && !psk_) return fail(HandshakeFault::no_psk);
  send_ephemeral(out);
  if (!mix_dh(*ephemeral_, peer_ephemeral_)) return fail(HandshakeFault::low_order);
  if (!mix_dh(*ephemeral_, peer_)) return fail(HandshakeFault::low_order);
  if (pattern_ == Pattern::ik_psk2) state_->mix_key_and_hash(psk_->reveal());
  state_->encrypt_and_hash(payload, out.subspan(kPublic));
  turn_ = Turn::finish;
  return out.size();
}

Handshake::Size Handshake::read_2(Bytes message, MutableBytes payload) {
  if (pattern_ == Pattern::ik_psk2 && !psk_) return fail(HandshakeFault::no_psk);
  receive_ephemeral(message);
  if (!mix_dh(*ephemeral_, peer_ephemeral_)) return fail(HandshakeFault::low_order);
  if (!mix_dh(*own_, peer_ephemeral_)) return fail(HandshakeFault::low_order);
  if (pattern_ == Pattern::ik_psk2) state_->mix_key_and_hash(psk_->reveal());
  if (!state_->decrypt_and_hash(message.subspan(kPublic), payload)) {
    return fail(HandshakeFault::not_authentic);
  }
  turn_ = Turn::finish;
  return payload.size();
}

std::optional<Channel> Handshake::finish(Suite suite, Time now) && {
  if (turn_ != Turn::finish) {
    static_cast<void>(fail(HandshakeFault::out_of_turn));
    return std::nullopt;
  }
  const auto [first, second] = state_->split();
  const bool initiator = role_ == Role::initiator;
  const Channel::Keys keys{(initiator ? first : second).copy(),
                           (initiator ? second : first).copy()};
  Channel channel(keys, role_, suite, peer_, state_->hash(), now);
  turn_ = Turn::nothing;
  erase();
  return channel;
}

bool Handshake::mix_dh(const KeyPair& own, const X25519Key& peer) {
  const std::optional<Key> shared = own.agree(peer);
  if (shared) state_->mix_key(shared->reveal());
  return shared.has_value();
}

// With a psk the ephemeral keys are mixed into the key as well (§9.2).
void Handshake::send_ephemeral(MutableBytes out) {
  const auto& key = ephemeral_->public_key().bytes;
  std::copy(key.begin(), key.end(), out.begin());
  state_->mix_hash(key);
  if (pattern_ == Pattern::ik_psk2) state_->mix_key(key);
}

void Handshake::receive_ephemeral(Bytes in) {
  auto& key = peer_ephemeral_.bytes;
  std::copy_n(in.begin(), key.size(), key.begin());
  state_->mix_hash(key);
  if (pattern_ == Pattern::ik_psk2) state_->mix_key(key);
}

}  // namespace leat::crypto
