#include "sealed/opening.h"

#include <algorithm>

#include "base/limits.h"
#include "net/link_chunk.h"

namespace leat::sealed {
namespace {

using net::ChunkHeader;
using net::ChunkKind;

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kOpenSize = 30;  // version, intent, session, epoch, received
constexpr std::size_t kHeader = limits::kChunkHeader;

enum class Intent : std::uint8_t { fresh = 0, resume = 1 };

// Moves bytes to `held` until it has `size`.
bool collect(std::string& held, std::size_t size, Bytes in, std::size_t& used) {
  const std::size_t n = std::min(size - std::min(size, held.size()), in.size() - used);
  held += as_chars(in.subspan(used, n));
  used += n;
  return held.size() >= size;
}

std::string chunk(ChunkKind kind, std::string_view body) {
  std::string out(kHeader, '\0');
  net::store_header(reinterpret_cast<std::uint8_t*>(out.data()), {body.size(), kind});
  return out.append(body);
}

ChunkHeader header_of(const std::string& held) { return net::load_header(as_bytes(held).data()); }

}  // namespace

std::string open_chunk() {
  std::string body(kOpenSize, '\0');
  body[0] = kVersion;
  return chunk(ChunkKind::open, body);
}

OpenReader::State OpenReader::feed(Bytes in, std::size_t& used) {
  used = 0;
  if (!collect(held_, kHeader, in, used)) return State::more;
  const ChunkHeader header = header_of(held_);
  if (header.kind != ChunkKind::open || header.length != kOpenSize) {
    return fail(Code::PROTOCOL, "expected open");
  }
  return collect(held_, kHeader + kOpenSize, in, used) ? judge() : State::more;
}

OpenReader::State OpenReader::judge() {
  const Bytes body = as_bytes(held_).subspan(kHeader);
  if (body[0] != kVersion) return fail(Code::VERSION_MISMATCH, "the agent speaks version 1");
  switch (static_cast<Intent>(body[1])) {
    case Intent::fresh:
      if (std::ranges::any_of(body.subspan(2), [](std::uint8_t byte) { return byte != 0; })) {
        return fail(Code::PROTOCOL, "a new session with a past");
      }
      return State::fresh;
    case Intent::resume:
      return State::resume;
  }
  return fail(Code::PROTOCOL, "unknown intent");
}

OpenReader::State OpenReader::fail(Code code, std::string_view text) {
  error_ = {code, std::string(text)};
  return State::error;
}

std::string opened_chunk(const net::SessionId& session) {
  std::string body(as_chars(session));
  body.resize(net::kOpenedSize, '\0');  // received: nothing yet
  return chunk(ChunkKind::opened, body);
}

std::string close_chunk(const Error& why) {
  return net::close_chunk(info(why.code).name, why.detail);
}

OpenedReader::State OpenedReader::feed(Bytes in, std::size_t& used) {
  used = 0;
  if (!collect(held_, kHeader, in, used)) return State::more;
  const ChunkHeader header = header_of(held_);
  const bool known = header.kind == ChunkKind::opened || header.kind == ChunkKind::close;
  if (!known || !net::well_formed(header)) return fail(Code::PROTOCOL, "expected opened");
  if (!collect(held_, kHeader + header.length, in, used)) return State::more;
  const Bytes body = as_bytes(held_).subspan(kHeader);
  if (header.kind == ChunkKind::opened) {
    const Bytes received = body.subspan(std::tuple_size_v<net::SessionId>);
    const bool fresh = std::ranges::all_of(received, [](std::uint8_t byte) { return byte == 0; });
    return fresh ? State::opened : fail(Code::PROTOCOL, "a new session with a past");
  }
  std::string code, text;
  if (!net::parse_close(body, code, text)) return fail(Code::PROTOCOL, "malformed close");
  if (const auto known_code = code_from_name(code)) return fail(*known_code, std::move(text));
  return fail(Code::PROTOCOL, code + ": " + text);
}

OpenedReader::State OpenedReader::fail(Code code, std::string text) {
  error_ = {code, std::move(text)};
  return State::error;
}

}  // namespace leat::sealed
