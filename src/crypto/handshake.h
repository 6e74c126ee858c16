// The handshake of a sealed session (docs/protocol.md §7.2): Noise IK and IKpsk2, revision 34, with
// 25519, AESGCM and SHA256, sans-I/O. A Handshake is used once and consumed to give the Channel:
//
//   client                                   agent
//     initiator(…)                             responder(…)
//     [set_psk]
//     write(payload)   ── message 1 ──▶        read: payload and claimed_peer() are claims, for
//                                              message 1 may be a replay
//                                              [set_psk]
//     read             ◀── message 2 ──        write(payload)
//     finish(suite)                            finish(suite)
//     Channel          ═══ records ═══         Channel: confirmed() from the first record opened
//
// Nothing may act on message 1: what is to be changed or dialled waits for Channel::confirmed().
// A call out of turn or a message that does not fit is final: secrets are erased and every later
// call fails. Secrets are erased too when the object goes or is moved away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "base/bytes.h"
#include "base/crypto_util.h"
#include "base/time.h"
#include "crypto/channel.h"
#include "crypto/key.h"
#include "crypto/noise.h"
#include "crypto/record.h"
#include "crypto/x25519.h"

namespace leat::crypto {

enum class Pattern : std::uint8_t { ik, ik_psk2 };

inline constexpr std::size_t kMaxPayload = 1024;
inline constexpr std::size_t kMessage1 = 32 + (32 + 16) + 16;  // and the payload
inline constexpr std::size_t kMessage2 = 32 + 16;              // and the payload

enum class HandshakeFault : std::uint8_t {
  bad_length,     // a message too short, or its payload too long
  low_order,      // a key exchange that gives zeros
  not_authentic,  // changed, meant for another key, or made with another psk or prologue
  no_room,        // `out` is too small; ours
  no_psk,         // ours
  out_of_turn,    // ours; also what every call after a fault returns
};
std::string_view name(HandshakeFault fault);

// "leat/1 sealed", a zero byte, the agent's key.
std::string sealed_prologue(const X25519Key& agent);
// The psk that a one-time secret stands for.
Key pairing_psk(Bytes one_time_secret);

class Handshake {
 public:
  // `own` outlives the handshake; the rest is copied.
  static Handshake initiator(Pattern pattern, Bytes prologue, const KeyPair& own,
                             const X25519Key& peer);
  static Handshake responder(Pattern pattern, Bytes prologue, const KeyPair& own);

  Handshake(Handshake&& other) noexcept;
  Handshake& operator=(Handshake&&) = delete;
  ~Handshake() = default;

  // For IKpsk2: before message 2 is written or read. The responder knows which after message 1.
  void set_psk(const Key& psk) { psk_ = psk.copy(); }

  // The bytes written to `out`: kMessage1 or kMessage2 and the payload.
  tl::expected<std::size_t, HandshakeFault> write(Bytes payload, MutableBytes out);
  // The bytes of payload written to `payload`, which has room for the message less kMessage1 or
  // kMessage2 (kMaxPayload always suffices). On a fault it is left as it was or wiped.
  tl::expected<std::size_t, HandshakeFault> read(Bytes message, MutableBytes payload);

  // Responder, after read(): who says to be calling.
  const X25519Key& claimed_peer() const { return peer_; }

  // After both messages; nullopt otherwise. `suite` is what the payloads agreed on.
  std::optional<Channel> finish(Suite suite, Time now) &&;

 private:
  friend struct FixedEphemeral;  // tests: published vectors fix both ephemeral keys

  // What is to be done next.
  enum class Turn : std::uint8_t { write_1, read_1, write_2, read_2, finish, nothing };
  using Size = tl::expected<std::size_t, HandshakeFault>;

  Handshake(Role role, Pattern pattern, Bytes prologue, const KeyPair& own, const X25519Key& peer);
  Size write_1(Bytes payload, MutableBytes out);
  Size write_2(Bytes payload, MutableBytes out);
  Size read_1(Bytes message, MutableBytes payload);
  Size read_2(Bytes message, MutableBytes payload);
  bool mix_dh(const KeyPair& own, const X25519Key& peer);
  void send_ephemeral(MutableBytes out);
  void receive_ephemeral(Bytes in);
  Size fail(HandshakeFault fault);
  void erase();

  Role role_;
  Pattern pattern_;
  Turn turn_;
  const KeyPair* own_;
  X25519Key peer_;  // static
  X25519Key peer_ephemeral_;
  std::optional<SymmetricState> state_;
  std::optional<KeyPair> ephemeral_;
  std::optional<Key> psk_;
};

}  // namespace leat::crypto
