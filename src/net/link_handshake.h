// The three chunks that open a carrier (docs/protocol.md §2.2), sans-I/O:
//
//   relay                      agent
//     challenge(nonce)  ──────▶
//                       ◀──────  open(new | session + epoch + received, identity, signature)
//     opened(session,   ──────▶
//            received)
//
// The agent signs label || channel binding (TLS exporter, or nothing) || nonce || the rest of the
// open chunk with its Ed25519 identity. Each object is used for one carrier; surplus bytes after
// the last chunk belong to the Link and are handed back.
//
// A relay that resumes a session checks that it is one of request().identity and that
// request().epoch is above the session's last, then calls Link::attach(request().received) and, if
// that is true, accept(session, Link::received()); the order fences the old carrier before the
// offset is read. An agent detaches its Link before it takes Link::received() for the handshake.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/signature.h"
#include "net/link.h"

namespace leat::net {

struct OpenRequest {
  PublicKey identity{};
  std::optional<SessionId> resume;  // unset: a new session
  std::uint32_t epoch = 0;          // of this carrier; 1 or more when resuming
  std::uint64_t received = 0;       // data bytes the agent has, when resuming
};

// Relay side.
class ServerHandshake {
 public:
  // `binding`: Transport::channel_binding(); empty where TLS may end at a proxy (WebSocket): then
  // the nonce alone ties the signature to the carrier.
  explicit ServerHandshake(std::string binding);

  enum class State : std::uint8_t { more, open, error };
  // `used`: bytes consumed; the rest are the Link's. After `open` call accept() or refuse(). On
  // `error` the close chunk that says why is queued, unless the agent sent one itself.
  State feed(Bytes in, std::size_t& used);
  const OpenRequest& request() const { return request_; }
  // LEAT_BAD_IDENTITY, LEAT_VERSION_MISMATCH, LEAT_PROTOCOL, or the agent's own.
  const Error& error() const { return error_; }

  // Bytes to send now; cleared by the call.
  std::string take_output();
  void accept(const SessionId& session, std::uint64_t received);
  // Queues a close chunk: LEAT_SESSION_LOST and the like.
  void refuse(Code code, std::string_view text);

 private:
  State fail(Code code, std::string_view text);
  State on_open(Bytes body);

  std::string binding_;
  std::array<std::uint8_t, 32> nonce_{};
  std::string in_, out_;
  State state_ = State::more;
  OpenRequest request_;
  Error error_{Code::PROTOCOL, {}};
};

// Agent side.
class ClientHandshake {
 public:
  // `key` outlives the handshake. `epoch`: 0 for a new session, else above any used for that
  // session before, also by carriers that never got through.
  ClientHandshake(const SigningKey& key, std::string binding, std::optional<SessionId> resume,
                  std::uint64_t received, std::uint32_t epoch = 0);

  enum class State : std::uint8_t { more, opened, error };
  State feed(Bytes in, std::size_t& used);
  const SessionId& session() const { return session_; }
  std::uint64_t peer_received() const { return peer_received_; }
  const Error& error() const { return error_; }  // what the relay refused with, or LEAT_PROTOCOL
  std::string take_output();

 private:
  enum class Phase : std::uint8_t { fresh, waiting };
  State fail(Code code, std::string_view text);
  State on_challenge(Bytes body);
  State on_opened(Bytes body);

  const SigningKey& key_;
  std::string binding_;
  OpenRequest request_;
  std::string in_, out_;
  Phase phase_ = Phase::fresh;
  State state_ = State::more;
  SessionId session_{};
  std::uint64_t peer_received_ = 0;
  Error error_{Code::PROTOCOL, {}};
};

}  // namespace leat::net
