// What the relay changes in heads that pass through it. Pure functions of parsed heads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cidr.h"
#include "http/head.h"
#include "relay/route.h"

namespace leat::relay {

struct VisitorFacts {
  std::string address;  // "192.0.2.1", without port
  bool secure = false;  // came over TLS
  std::string request_id;
  // What trusted proxies have said, the visitor first, and what the connection itself shows.
  struct Proxied {
    std::vector<std::string> chain;  // addresses, with or without port; the last was added by …
    std::string peer;                // … who connects to us
    bool peer_secure = false;
    std::string host, prefix;  // empty: not said
  };
  std::optional<Proxied> proxied = std::nullopt;
};

// Who asks. `peer`: the address that connects. If that is one of `trusted`, its forwarding fields
// are believed: X-Forwarded-For, or Forwarded where there is none, names whom the request passed,
// and the visitor is the nearest of them that is not trusted too.
VisitorFacts visitor_facts(const http::Fields& fields, const std::string& peer, bool secure,
                           const std::vector<Cidr>& trusted);

// A valid X-Request-Id of the visitor's (1 to 64 of A-Z a-z 0-9 . _ -), or a new one.
std::string request_id_of(const http::Request& request);

// The request as the service is to see it: hop-by-hop and forged forwarding fields removed, ours
// added, or those of trusted proxies continued, framing set again, the tunnel's prefix taken off
// the target.
void rewrite_request(http::Request& request, const Route& route, const VisitorFacts& visitor);

// Where a tunnel is in an origin that it shares with others, in the words that its service was
// told.
struct Place {
  std::string prefix;              // as taken off the target; empty: the origin is the tunnel's own
  std::string told = {};           // X-Forwarded-Prefix: the same, behind those of trusted proxies
  std::string host = {}, as = {};  // Host, X-Forwarded-Host
};

// Of a request that rewrite_request() has seen to.
Place place_of(const http::Request& request, std::string prefix);

// Keeps a tunnel inside its part of an origin that all tunnels of the relay share: the prefix is
// put in front of cookie paths and of the path in a Location on this origin, unless the service,
// which was told of it, has done so; Domain is taken off cookies, and what would speak for the
// whole origin (a service worker's scope, HSTS and the like) is removed.
void confine_to_prefix(http::Fields& fields, const Place& place);

// Keeps a tunnel to its own host, which has those of others beside it: Domain is taken off cookies,
// for a browser would send them to all.
void confine_to_host(http::Fields& fields);

// The response as the visitor is to see it. `keep_alive`: whether the connection goes on after it;
// `minor`: the visitor's HTTP version.
void rewrite_response(http::Response& response, const Place& place, int minor, bool keep_alive,
                      const std::string& request_id);

}  // namespace leat::relay
