// The chunk format (docs/protocol.md §2.1): numbers, lengths, headers, and the body of close. What
// the handshake and the link share, and nothing that has a state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/limits.h"

namespace leat::net {

enum class ChunkKind : std::uint8_t { challenge = 1, open, opened, data, ack, ping, pong, close };

// Lengths of bodies.
inline constexpr std::size_t kNonceSize = 32;
inline constexpr std::size_t kChallengeSize = 1 + kNonceSize;
inline constexpr std::size_t kOpenSize = 126;
inline constexpr std::size_t kOpenedSize = 24;
inline constexpr std::size_t kNumberSize = 8;  // ack, ping, pong
inline constexpr std::size_t kCloseCodeMax = 48;
inline constexpr std::size_t kCloseTextMax = 512;
inline constexpr std::size_t kCloseMax = 1 + kCloseCodeMax + kCloseTextMax;
inline constexpr std::size_t kDataMax = limits::kTlsRecord - limits::kChunkHeader;

struct ChunkHeader {
  std::size_t length;  // of the body
  ChunkKind kind;
};

inline ChunkHeader load_header(const std::uint8_t* p) {
  return {load_be16(p), static_cast<ChunkKind>(p[2])};
}

inline void store_header(std::uint8_t* p, ChunkHeader header) {
  store_be16(p, static_cast<std::uint16_t>(header.length));
  p[2] = static_cast<std::uint8_t>(header.kind);
}

// Whether a chunk of this kind may have this length. False for an unknown kind.
bool well_formed(ChunkHeader header);

// A whole close chunk. Longer codes and texts than the format takes are cut; bytes of the text that
// are not printable ASCII become '?'.
std::string close_chunk(std::string_view code, std::string_view text);
// False if the body is malformed. The text comes out printable whatever was sent.
bool parse_close(Bytes body, std::string& code, std::string& text);

}  // namespace leat::net
