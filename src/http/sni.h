// Looks at the first message of a TLS connection, before any TLS state exists: which name the
// client wants (RFC 6066 §3) and which protocols it offers (ALPN, RFC 7301). Bytes are looked at,
// not used up: whoever holds them passes them on to TLS or, unread, to a tunnel. Sans-I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace leat::http {

struct ClientHello {
  std::string server_name;        // lower case; empty if the client sent none
  std::vector<std::string> alpn;  // in the client's order
  bool offers(std::string_view protocol) const;
};

class ClientHelloReader {
 public:
  enum class State : std::uint8_t {
    more,
    done,     // hello() is complete
    not_tls,  // something else: HTTP in the clear, or noise
    error,    // TLS, but not a ClientHello we let in
  };

  // Takes the next bytes of the connection, in any chunking. Holds those of the message, 32 KiB at
  // most (one may span records), and drops them when it is complete. After done, not_tls or error
  // the state stays, whatever follows.
  State feed(Bytes in);
  const ClientHello& hello() const { return hello_; }
  const char* why() const { return why_; }  // after error
  // While more: so many bytes at least are still to come, so that there is no need to look sooner.
  std::size_t missing() const;

 private:
  State fail(const char* why);
  State take_fragment(Bytes fragment);

  State state_ = State::more;
  std::uint8_t header_[5] = {};
  std::size_t header_n_ = 0;
  std::size_t record_left_ = 0;  // of the record's fragment
  std::string message_;          // handshake header and body, reassembled
  ClientHello hello_;
  const char* why_ = "";
};

}  // namespace leat::http
