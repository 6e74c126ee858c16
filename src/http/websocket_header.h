// The header of a WebSocket frame (RFC 6455 §5.2), for whoever counts what passes and looks at no
// payload. Says nothing of whether the frame may stand there: that is for the two ends, which may
// have agreed on extensions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace leat::http::ws {

struct FrameHeader {
  std::size_t size = 0;      // of the header, with its mask
  std::uint64_t length = 0;  // of the payload, as transferred
  std::uint8_t opcode = 0;

  bool control() const { return (opcode & 8) != 0; }
  bool begins_message() const { return opcode != 0 && !control(); }
};

// nullopt: there is more to come of it than `in`, which begins with it.
std::optional<FrameHeader> read_frame_header(Bytes in);

}  // namespace leat::http::ws
