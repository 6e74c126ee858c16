// The visitor's half of a WebSocket opening handshake over a transport's bytes, for carriers
// (RFC 6455 §4.1). Sans-I/O.
#pragma once

#include <cstddef>
#include <string>

#include "base/address.h"
#include "base/bytes.h"
#include "http/head.h"

namespace leat::net {

class ClientUpgrade {
 public:
  // Asks for `target`; `host` is what the Host field says, without the port if it is the scheme's.
  ClientUpgrade(const HostPort& host, bool secure, const std::string& target,
                std::string subprotocol);

  const std::string& request() const { return request_; }  // to be sent at once

  enum class State : std::uint8_t { more, done, failed };
  // Uses the answer's head and no byte behind it; no more than 64 KiB are ever held.
  State feed(Bytes in, std::size_t& used);
  // After failed: "HTTP 404 Not Found" or what is wrong with the answer.
  const std::string& why() const { return why_; }

 private:
  std::string request_, key_, subprotocol_, why_;
  http::HeadReader head_;
};

}  // namespace leat::net
