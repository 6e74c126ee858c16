// The yamux frame header (docs/protocol.md §1.1): twelve bytes to a Header and back. Checks what
// can be checked without knowing any stream.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mux/fatal.h"

namespace leat::mux {

inline constexpr std::size_t kHeaderSize = 12;

enum class Type : std::uint8_t { data = 0, window_update = 1, ping = 2, go_away = 3 };

namespace flag {
inline constexpr std::uint16_t syn = 1;
inline constexpr std::uint16_t ack = 2;
inline constexpr std::uint16_t fin = 4;
inline constexpr std::uint16_t rst = 8;
}  // namespace flag

struct Header {
  Type type = Type::data;
  std::uint16_t flags = 0;
  std::uint32_t id = 0;
  std::uint32_t length = 0;  // payload, credit, ping value or go-away code

  bool has(std::uint16_t flag) const { return (flags & flag) != 0; }
  friend bool operator==(const Header&, const Header&) = default;
};

// Writes kHeaderSize bytes.
void encode(const Header& header, std::uint8_t* out);

// Reads kHeaderSize bytes. `header` is set only if the answer is none.
Fatal decode(const std::uint8_t* in, Header& header);

}  // namespace leat::mux
