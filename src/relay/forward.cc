#include "relay/forward.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/crypto_util.h"
#include "http/proxy.h"

namespace leat::relay {
namespace {

bool plain_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

// RFC 7239 §4: an IPv6 address is quoted and bracketed.
std::string forwarded_node(const std::string& address) {
  return address.find(':') == std::string::npos ? address : "\"[" + address + "]\"";
}

// host is a token only without a port or brackets; quoting is always allowed (RFC 7239 §4).
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string request_id_of(const http::Request& request) {
  const std::string* given = request.fields.find("X-Request-Id");
  if (given != nullptr && plain_id(*given)) return *given;
  return random_id();
}

void rewrite_request(http::Request& request, const Route& route, const VisitorFacts& visitor) {
  http::Fields& fields = request.fields;
  const std::string host = fields.find("Host") != nullptr ? *fields.find("Host") : std::string();
  http::forward(request);
  http::remove_forwarded(fields);  // believed from nobody outside (threat 17)

  const char* scheme = visitor.secure ? "https" : "http";
  fields.add("X-Forwarded-For", visitor.address);
  fields.add("X-Forwarded-Proto", scheme);
  if (!host.empty()) fields.add("X-Forwarded-Host", host);
  if (!route.prefix.empty()) fields.add("X-Forwarded-Prefix", route.prefix);
  std::string forwarded = "for=" + forwarded_node(visitor.address) + ";proto=" + scheme;
  if (!host.empty()) forwarded += ";host=" + quoted(host);
  fields.add("Forwarded", forwarded);
  fields.set("X-Request-Id", visitor.request_id);
  request.target = route.target;
}

void rewrite_response(http::Response& response, int minor, bool keep_alive,
                      const std::string& request_id) {
  http::forward(response);
  if (response.interim()) return;
  if (response.status != 101) {
    if (!keep_alive) {
      response.fields.set("Connection", "close");
    } else if (minor == 0) {
      response.fields.set("Connection", "keep-alive");
    }
  }
  response.fields.set("X-Request-Id", request_id);
}

}  // namespace leat::relay
