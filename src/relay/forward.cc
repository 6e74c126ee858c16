#include "relay/forward.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "base/crypto_util.h"

namespace leat::relay {
namespace {

// Fields by which a service learns about its visitor: believed from nobody outside (threat 17).
constexpr std::array kForwarding = {"Forwarded",          "X-Forwarded-For",  "X-Forwarded-Proto",
                                    "X-Forwarded-Host",   "X-Forwarded-Port", "X-Forwarded-Prefix",
                                    "X-Forwarded-Server", "X-Real-IP"};

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
  const std::string protocol = request.upgrade && fields.find("Upgrade") != nullptr
                                   ? *fields.find("Upgrade")
                                   : std::string();

  http::remove_hop_by_hop(fields);
  for (const char* name : kForwarding) fields.remove(name);
  http::set_framing(fields, request.body, request.length);
  if (!protocol.empty()) {
    fields.set("Connection", "Upgrade");
    fields.set("Upgrade", protocol);
  }

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

void rewrite_response(http::Response& response, std::string_view method, int minor, bool keep_alive,
                      const std::string& request_id) {
  http::Fields& fields = response.fields;
  // A Content-Length that describes no body of this message stays (RFC 9110 §8.6).
  std::string described;
  if ((method == "HEAD" || response.status == 304) && fields.find("Content-Length") != nullptr) {
    described = *fields.find("Content-Length");
  }
  const std::string protocol = response.status == 101 && fields.find("Upgrade") != nullptr
                                   ? *fields.find("Upgrade")
                                   : std::string();
  http::remove_hop_by_hop(fields);
  http::set_framing(fields, response.body, response.length);
  if (!described.empty()) fields.set("Content-Length", described);
  response.minor = 1;
  if (response.interim()) return;
  if (!protocol.empty()) {
    fields.set("Connection", "Upgrade");
    fields.set("Upgrade", protocol);
  } else if (!keep_alive) {
    fields.set("Connection", "close");
  } else if (minor == 0) {
    fields.set("Connection", "keep-alive");
  }
  fields.set("X-Request-Id", request_id);
}

}  // namespace leat::relay
