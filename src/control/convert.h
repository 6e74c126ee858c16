// Between the messages of proto/control.proto and the types the rest of leat speaks. What comes
// from the peer is checked or made harmless here: unknown codes, unknown kinds, texts that end up
// on a terminal.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "control/client.h"

namespace leat::proto {
enum Kind : int;
class Failure;
}  // namespace leat::proto

namespace leat::control {

proto::Kind to_wire(TunnelKind kind);
std::optional<TunnelKind> from_wire(
    proto::Kind kind);  // nullopt: unspecified, or newer than we are

proto::Failure to_wire(const Error& error);
// A code this version does not know becomes PROTOCOL, its name the beginning of the detail.
Error from_wire(const proto::Failure& failure);

// The beginning of `text`, at most `max` bytes of valid UTF-8: each byte that is no part of a
// character and each control character (C0, DEL, C1) becomes '?' (a C1 two of them). For what a
// peer says, and for what we say in a protobuf string, which the peer's parser refuses unless it is
// UTF-8.
std::string printable(std::string_view text, std::size_t max);

}  // namespace leat::control
