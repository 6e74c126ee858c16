#include "crypto/unit.h"

#include <cassert>

namespace leat::crypto {
namespace {

constexpr std::size_t kCodeMin = 5, kCodeMax = 47;

struct Bounds {
  std::size_t least, most;
  Role from;
};

// Of what follows the kind.
std::optional<Bounds> bounds(UnitKind kind) {
  switch (kind) {
    case UnitKind::hello:
    case UnitKind::pairing_hello:
      return Bounds{kMessage1, kMessage1 + kMaxPayload, Role::initiator};
    case UnitKind::reply:
      return Bounds{kMessage2, kMessage2 + kMaxPayload, Role::responder};
    case UnitKind::refused:
      return Bounds{kCodeMin, kCodeMax, Role::responder};
  }
  return std::nullopt;
}

}  // namespace

Unit read_unit(Bytes in, Role from) {
  if (in.size() < kUnitHeader) return {};
  const auto kind = static_cast<UnitKind>(in[2]);
  const std::size_t body = load_be16(in.data()) - std::size_t{1};  // wraps for 0: too large
  const auto allowed = bounds(kind);
  if (!allowed || allowed->from != from || body < allowed->least || body > allowed->most) {
    return {.state = Unit::State::bad};
  }
  if (in.size() - kUnitHeader < body) return {};
  return {Unit::State::whole, kind, in.subspan(kUnitHeader, body), kUnitHeader + body};
}

std::size_t write_unit_header(MutableBytes out, UnitKind kind, std::size_t body) {
  assert(out.size() >= kUnitHeader + body && body < kMaxUnit);
  store_be16(out.data(), static_cast<std::uint16_t>(body + 1));
  out[2] = static_cast<std::uint8_t>(kind);
  return kUnitHeader + body;
}

std::string refused_unit(std::string_view code) {
  assert(code.size() >= kCodeMin && code.size() <= kCodeMax);
  std::string unit(kUnitHeader, '\0');
  unit += code;
  write_unit_header({reinterpret_cast<std::uint8_t*>(unit.data()), unit.size()}, UnitKind::refused,
                    code.size());
  return unit;
}

}  // namespace leat::crypto
