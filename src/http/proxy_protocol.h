// The PROXY protocol, versions 1 and 2 (haproxy's doc/proxy-protocol.txt): a header in front of the
// bytes of a connection, by which a proxy says whose connection it is. Read only where a proxy was
// configured, since anybody can write one. Sans-I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/bytes.h"

namespace leat::http {

struct ProxyHeader {
  enum class State : std::uint8_t { more, done, error };
  State state = State::more;
  std::size_t size = 0;            // done: how many bytes it takes
  std::optional<HostPort> source;  // none: the proxy speaks for itself, or of no TCP connection
  const char* why = "";            // error
};

// Reads the header at the front of a connection. The same bytes and more may be given again until
// there are enough of them; limits::kProxyHeader are.
ProxyHeader read_proxy_header(Bytes received);

// A header of `version` (1 or 2). Both addresses in digits; where only one is of IPv4, it is given
// in IPv6 clothes. No source, or one that is no address: a header that says so.
std::string proxy_header(int version, const std::optional<HostPort>& source,
                         const HostPort& destination);

}  // namespace leat::http
