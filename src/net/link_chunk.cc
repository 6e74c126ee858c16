#include "net/link_chunk.h"

#include <algorithm>

namespace leat::net {
namespace {

bool is_code_char(char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

// The text ends up in logs and on terminals: no control characters, no half characters.
void append_printable(std::string_view text, std::string& out) {
  for (const char c : text) out += c >= 0x20 && c < 0x7f ? c : '?';
}

}  // namespace

bool well_formed(ChunkHeader header) {
  switch (header.kind) {
    case ChunkKind::challenge:
      return header.length == kChallengeSize;
    case ChunkKind::open:
      return header.length == kOpenSize;
    case ChunkKind::opened:
      return header.length == kOpenedSize;
    case ChunkKind::data:
      return header.length >= 1 && header.length <= kDataMax;
    case ChunkKind::ack:
    case ChunkKind::ping:
    case ChunkKind::pong:
      return header.length == kNumberSize;
    case ChunkKind::close:
      return header.length >= 1 && header.length <= kCloseMax;
  }
  return false;
}

std::string close_chunk(std::string_view code, std::string_view text) {
  code = code.substr(0, kCloseCodeMax);
  text = text.substr(0, kCloseTextMax);
  std::string chunk(limits::kChunkHeader, '\0');
  store_header(reinterpret_cast<std::uint8_t*>(chunk.data()),
               {1 + code.size() + text.size(), ChunkKind::close});
  chunk += static_cast<char>(code.size());
  chunk += code;
  append_printable(text, chunk);
  return chunk;
}

bool parse_close(Bytes body, std::string& code, std::string& text) {
  if (body.empty()) return false;
  const std::size_t n = body[0];
  if (n > kCloseCodeMax || body.size() < 1 + n || body.size() - 1 - n > kCloseTextMax) return false;
  const std::string_view sent_code = as_chars(body.subspan(1, n));
  if (!std::all_of(sent_code.begin(), sent_code.end(), is_code_char)) return false;
  code = sent_code;
  text.clear();
  append_printable(as_chars(body.subspan(1 + n)), text);
  return true;
}

}  // namespace leat::net
