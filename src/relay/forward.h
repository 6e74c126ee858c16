// What the relay changes in heads that pass through it. Pure functions of parsed heads.
#pragma once

#include <string>

#include "http/head.h"
#include "relay/route.h"

namespace leat::relay {

struct VisitorFacts {
  std::string address;  // "192.0.2.1", without port
  bool secure = false;  // came over TLS
  std::string request_id;
};

// A valid X-Request-Id of the visitor's (1 to 64 of A-Z a-z 0-9 . _ -), or a new one.
std::string request_id_of(const http::Request& request);

// The request as the service is to see it: hop-by-hop and forged forwarding fields removed, ours
// added, framing set again, the tunnel's prefix taken off the target.
void rewrite_request(http::Request& request, const Route& route, const VisitorFacts& visitor);

// The response as the visitor is to see it. `keep_alive`: whether the connection goes on after it;
// `minor`: the visitor's HTTP version.
void rewrite_response(http::Response& response, int minor, bool keep_alive,
                      const std::string& request_id);

}  // namespace leat::relay
