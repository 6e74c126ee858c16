#include "http/websocket_header.h"

namespace leat::http::ws {

std::optional<FrameHeader> read_frame_header(Bytes in) {
  if (in.size() < 2) return std::nullopt;
  FrameHeader header;
  header.opcode = in[0] & 0x0f;
  header.length = in[1] & 0x7f;
  const std::size_t wide = header.length == 126 ? 2 : header.length == 127 ? 8 : 0;
  const std::size_t mask = (in[1] & 0x80) != 0 ? 4 : 0;
  header.size = 2 + wide + mask;
  if (in.size() < header.size) return std::nullopt;
  if (wide > 0) header.length = 0;
  for (const std::uint8_t byte : in.subspan(2, wide)) header.length = header.length << 8 | byte;
  return header;
}

}  // namespace leat::http::ws
