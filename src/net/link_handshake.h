// The three chunks that open a carrier (docs/protocol.md §2.2), sans-I/O:
//
//   relay                      agent
//     challenge(nonce)  ──────▶
//                       ◀──────  open(new | session + received, identity, signature)
//     opened(session,   ──────▶
//            received)
//
// The agent signs label || channel binding (TLS exporter) or nonce || the rest of the open chunk with its
// Ed25519 identity. Each object is used for one carrier; surplus bytes after the last chunk belong to the
// Link and are handed back.
#pragma once

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
  std::uint64_t received = 0;       // data bytes the agent has, when resuming
};

// Relay side.
class ServerHandshake {
 public:
  // `binding`: Transport::channel_binding(); empty where TLS may end at a proxy (WebSocket): then the nonce
  // is signed instead.
  explicit ServerHandshake(std::string binding);

  enum class State : std::uint8_t { more, open, error };
  // `used`: bytes consumed; the rest are the Link's. After `open` call accept() or refuse().
  State feed(Bytes in, std::size_t& used);
  const OpenRequest& request() const { return request_; }
  const Error& error() const { return error_; }  // LEAT_BAD_IDENTITY, LEAT_PROTOCOL

  // Bytes to send now; cleared by the call.
  std::string take_output();
  void accept(const SessionId& session, std::uint64_t received);
  // Queues a close chunk: LEAT_SESSION_LOST and the like.
  void refuse(Code code, std::string_view text);

 private:
  std::string binding_;
  std::array<std::uint8_t, 32> nonce_{};
  std::string in_, out_;
  OpenRequest request_;
  Error error_{Code::PROTOCOL, {}};
};

// Agent side.
class ClientHandshake {
 public:
  ClientHandshake(const SigningKey& key, std::string binding, std::optional<SessionId> resume,
                  std::uint64_t received);

  enum class State : std::uint8_t { more, opened, error };
  State feed(Bytes in, std::size_t& used);
  const SessionId& session() const { return session_; }
  std::uint64_t peer_received() const { return peer_received_; }
  const Error& error() const { return error_; }  // what the relay refused with, or LEAT_PROTOCOL
  std::string take_output();

 private:
  const SigningKey& key_;
  std::string binding_;
  std::optional<SessionId> resume_;
  std::uint64_t received_;
  std::string in_, out_;
  SessionId session_{};
  std::uint64_t peer_received_ = 0;
  Error error_{Code::PROTOCOL, {}};
};

}  // namespace leat::net
