// A service of this machine as the configuration names it: plain data, filled by the command line
// or a file. The agent dials these targets and no others (threat 19).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/time.h"
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
  friend bool operator==(const FieldPolicy&, const FieldPolicy&) = default;
};

// How the agent finds out whether a service is well.
struct HealthPolicy {
  enum class Kind : std::uint8_t {
    none,     // by what visitors meet
    connect,  // a connection can be made
    path,     // http: GET of `path` is answered, and not with an error
  };
  Kind kind = Kind::none;
  std::string path;
  Duration interval{0};  // while it is well; 0: not again
  friend bool operator==(const HealthPolicy&, const HealthPolicy&) = default;
};

struct Service {
  std::string id;  // empty: the relay generates one
  control::TunnelKind kind = control::TunnelKind::http;
  HostPort target;
  bool target_tls = false;  // the target speaks TLS (https://)
  bool insecure = false;    // … and its certificate is not verified
  FieldPolicy host_header;  // http and ws, like the next
  FieldPolicy origin;
  bool is_public = false;
  bool sealed = false;            // http and tcp: reached by paired devices, end to end encrypted
  std::uint16_t remote_port = 0;  // tcp; 0: the relay chooses
  std::vector<std::string> hosts = {};      // http, tls: names of its own
  std::chrono::milliseconds first_byte{0};  // http: how long it may rest before it answers …
  std::chrono::milliseconds idle{0};        // … and while it does; 0: as the relay says
  int proxy_protocol = 0;  // the version in which the target is told who comes; 0: it is not
  control::VisitorPolicy visitors;

  // "http://127.0.0.1:8080", "tcp://127.0.0.1:22": for people, and the key of a kept tunnel id.
  std::string target_text() const;

  HealthPolicy health = {};
  std::vector<std::string> cors = {};  // origins whose pages may read answers, or "*"
  Duration sse_comments{0};            // docs/adr/0015-what-the-agent-says-itself.md; 0: never
  friend bool operator==(const Service&, const Service&) = default;
};

}  // namespace leat::agent
