#include "base/address.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <optional>

namespace leat {
namespace {

bool is_ipv6(std::string_view text) {
  std::array<std::uint8_t, 16> parsed;
  const std::string address(text.substr(0, text.find('%')));  // fe80::1%eth0
  return ::inet_pton(AF_INET6, address.c_str(), parsed.data()) == 1;
}

// Enough to catch a URL or a typing error; resolving decides the rest.
bool is_host_name(std::string_view text) {
  for (const char c : text) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.' || c == '_';
    if (!good) return false;
  }
  return !text.empty() && text.size() <= 253;  // RFC 1035 §2.3.4, without the root label
}

std::optional<std::uint16_t> parse_port(std::string_view text, bool allow_zero) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || stop != end || (port == 0 && !allow_zero)) return std::nullopt;
  return port;
}

}  // namespace

std::string HostPort::text() const {
  const bool bracket = host.find(':') != host.npos;
  return (bracket ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HostPort> parse_host_port(std::string_view text, bool allow_zero) {
  const auto refuse = [text](std::string_view expected) {
    return fail(Code::CONFIG,
                "expected " + std::string(expected) + ", found \"" + std::string(text) + "\"");
  };
  const std::size_t colon = text.rfind(':');
  std::string_view host = "127.0.0.1";
  std::string_view port = text;
  if (colon != text.npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
      host = host.substr(1, host.size() - 2);
      if (!is_ipv6(host)) return refuse("an IPv6 address in the brackets");
    } else if (host.find(':') != host.npos) {
      return refuse("brackets around an IPv6 address, as in [::1]:8080");
    } else if (!is_host_name(host)) {
      return refuse("HOST:PORT or PORT");
    }
  }
  const auto number = parse_port(port, allow_zero);
  if (!number) {
    return refuse(allow_zero ? "HOST:PORT with a port from 0 to 65535"
                             : "HOST:PORT with a port from 1 to 65535");
  }
  return HostPort{std::string(host), *number};
}

}  // namespace leat
