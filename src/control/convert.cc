#include "control/convert.h"

#include <cstdint>

#include "proto/control.pb.h"

namespace leat::control {
namespace {

constexpr std::size_t kFailureText = 2048;

// Length of the UTF-8 character (RFC 3629 §4) at the front of `text`; 0 if it is malformed or a
// control character.
std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t n = first < 0xc2   ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (n == 0 || text.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // What the second byte must not be: C1 controls, overlong forms, surrogates, beyond U+10FFFF.
  const std::uint8_t second = byte(1);
  const bool refused = (first == 0xc2 && second < 0xa0) || (first == 0xe0 && second < 0xa0) ||
                       (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
                       (first == 0xf4 && second > 0x8f);
  return refused ? 0 : n;
}

}  // namespace

const char* name(TunnelKind kind) {
  switch (kind) {
    case TunnelKind::http:
      return "http";
    case TunnelKind::tcp:
      return "tcp";
    case TunnelKind::ws:
      return "ws";
    case TunnelKind::tls:
      return "tls";
    case TunnelKind::sealed:
      return "sealed";
  }
  return "unknown";
}

const char* relay_sees(TunnelKind kind) {
  switch (kind) {
    case TunnelKind::http:
      return "requests and answers in the clear";
    case TunnelKind::ws:
      return "messages in the clear, unless the room encrypts them";
    case TunnelKind::tcp:
      return "the bytes as they are";
    case TunnelKind::tls:
      return "encrypted bytes, and the name that is asked for";
    case TunnelKind::sealed:
      return "encrypted bytes, their size and when";
  }
  return "";
}

proto::Kind to_wire(TunnelKind kind) {
  switch (kind) {
    case TunnelKind::http:
      return proto::KIND_HTTP;
    case TunnelKind::tcp:
      return proto::KIND_TCP;
    case TunnelKind::ws:
      return proto::KIND_WS;
    case TunnelKind::tls:
      return proto::KIND_TLS;
    case TunnelKind::sealed:
      return proto::KIND_SEALED;
  }
  return proto::KIND_UNSPECIFIED;
}

std::optional<TunnelKind> from_wire(proto::Kind kind) {
  switch (kind) {
    case proto::KIND_HTTP:
      return TunnelKind::http;
    case proto::KIND_TCP:
      return TunnelKind::tcp;
    case proto::KIND_WS:
      return TunnelKind::ws;
    case proto::KIND_TLS:
      return TunnelKind::tls;
    case proto::KIND_SEALED:
      return TunnelKind::sealed;
    default:
      return std::nullopt;
  }
}

proto::Failure to_wire(const Error& error) {
  proto::Failure failure;
  failure.set_code(std::string(info(error.code).name));
  failure.set_text(printable(error.detail, kFailureText));
  return failure;
}

Error from_wire(const proto::Failure& failure) {
  std::string text = printable(failure.text(), kFailureText);
  if (const auto code = code_from_name(failure.code())) return {*code, std::move(text)};
  return {Code::PROTOCOL, printable(failure.code(), 64) + ": " + text};
}

std::string printable(std::string_view text, std::size_t max) {
  std::string out;
  while (!text.empty()) {
    const std::size_t n = character(text);
    if (out.size() + std::max<std::size_t>(n, 1) > max) break;
    if (n == 0) {
      out += '?';
    } else {
      out += text.substr(0, n);
    }
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return out;
}

}  // namespace leat::control
