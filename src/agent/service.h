// A service of this machine as the configuration names it: plain data, filled by the command line
// or a file. The agent dials these targets and no others (threat 19).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.h"
#include "control/client.h"

namespace leat::agent {

// What a request field that names an origin (Host, Origin) becomes on its way to the service.
struct FieldPolicy {
  enum class Kind : std::uint8_t {
    rewrite,   // the target's own, as if the visitor had come to it directly; see rewrite.h
    preserve,  // as the visitor sent it
    remove,    // Origin only; Host cannot be missing (RFC 9112 §3.2) and is rewritten instead
    literal,
  };
  Kind kind = Kind::rewrite;
  std::string value;  // of literal

  // "rewrite", "preserve", "remove"; anything else is a literal value.
  static FieldPolicy parse(std::string_view text);
};

struct Service {
  std::string id;  // empty: the relay generates one
  control::TunnelKind kind = control::TunnelKind::http;
  HostPort target;
  bool target_tls = false;  // the target speaks TLS (https://)
  bool insecure = false;    // … and its certificate is not verified
  FieldPolicy host_header;  // http only, like the next
  FieldPolicy origin;
  bool is_public = false;
  bool sealed = false;            // http and tcp: reached by paired devices, end to end encrypted
  std::uint16_t remote_port = 0;  // tcp; 0: the relay chooses

  // "http://127.0.0.1:8080", "tcp://127.0.0.1:22": for people, and the key of a kept tunnel id.
  std::string target_text() const;
};

}  // namespace leat::agent
