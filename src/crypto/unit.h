// The handshake's units on the carrier (docs/protocol.md §7.1): u16 length, u8 kind, and a Noise
// message or the reason of a refusal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "crypto/handshake.h"

namespace leat::crypto {

enum class UnitKind : std::uint8_t { hello = 1, pairing_hello = 2, reply = 3, refused = 4 };

inline constexpr std::size_t kUnitHeader = 3;
// The longest unit: header and a hello with the largest payload.
inline constexpr std::size_t kMaxUnit = kUnitHeader + kMessage1 + kMaxPayload;

constexpr UnitKind hello_kind(Pattern pattern) {
  return pattern == Pattern::ik ? UnitKind::hello : UnitKind::pairing_hello;
}

struct Unit {
  enum class State : std::uint8_t { more, whole, bad };
  State state = State::more;
  UnitKind kind = UnitKind::hello;
  Bytes body;            // behind the kind, within the input; of `refused` for a person's eyes only
  std::size_t size = 0;  // bytes of the input; the rest are records

  // What a hello asks for.
  Pattern pattern() const { return kind == UnitKind::hello ? Pattern::ik : Pattern::ik_psk2; }
};

// `from`: who sends. Decides by the first three bytes whether it can become a unit.
Unit read_unit(Bytes in, Role from);
// Puts the header in front of `body` bytes that lie behind it; returns the size of the unit.
std::size_t write_unit_header(MutableBytes out, UnitKind kind, std::size_t body);
// `code`: a LEAT_… name of 5 to 47 characters.
std::string refused_unit(std::string_view code);

}  // namespace leat::crypto
