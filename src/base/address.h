// HOST:PORT as people write it: "127.0.0.1:8080", "[::1]:8080", "localhost:80", "8080" (loopback).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace leat {

struct HostPort {
  std::string host;  // without brackets
  std::uint16_t port = 0;

  std::string text() const;  // brackets an IPv6 address
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// A bare port means 127.0.0.1:PORT. Port 0 is allowed only with `allow_zero` (listening).
Result<HostPort> parse_host_port(std::string_view text, bool allow_zero = false);

}  // namespace leat
