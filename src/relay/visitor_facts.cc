// Who asks, and how a service is told: X-Forwarded-… and Forwarded (RFC 7239).
#include <algorithm>
#include <string>
#include <utility>

#include "base/limits.h"
#include "http/chars.h"
#include "http/proxy.h"
#include "relay/forward.h"

namespace leat::relay {
namespace {

// "192.0.2.1:80" and "[2001:db8::1]:80" without their ports.
std::string_view without_port(std::string_view address) {
  if (address.starts_with('[')) return address.substr(1, address.find(']') - 1);
  const std::size_t colon = address.find(':');
  const bool one = colon != address.npos && address.find(':', colon + 1) == address.npos;
  return one ? address.substr(0, colon) : address;
}

// What may be repeated: an address, or a name for one that is not to be told (RFC 7239 §6).
bool sane_node(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == ':' || c == '[' || c == ']' || c == '_' || c == '-';
  });
}

// The text up to the next `mark` that stands outside quotes, which is taken off `rest` with it.
std::string_view next_part(std::string_view& rest, char mark) {
  bool quoted = false;
  std::size_t at = 0;
  for (; at < rest.size() && (quoted || rest[at] != mark); ++at) {
    if (rest[at] == '"') quoted = !quoted;
    if (rest[at] == '\\' && quoted) ++at;
  }
  at = std::min(at, rest.size());
  const std::string_view part = http::trim(rest.substr(0, at));
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return part;
}

std::string_view next_plain_part(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(','), rest.size());
  const std::string_view part = http::trim(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

// Of one element of Forwarded (RFC 7239 §4): for=…;proto=…;host=…
struct Element {
  std::string node = "unknown", proto, host;
};

Element parse_element(std::string_view text) {
  Element element;
  while (!text.empty()) {
    const std::string_view pair = next_part(text, ';');
    const std::size_t equals = pair.find('=');
    if (equals == pair.npos) continue;
    const std::string_view name = pair.substr(0, equals);
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    if (http::iequal(name, "for")) element.node = value;
    if (http::iequal(name, "proto")) element.proto = value;
    if (http::iequal(name, "host")) element.host = value;
  }
  return element;
}

std::string first_of(const http::Fields& fields, std::string_view name) {
  const std::string* value = fields.find(name);
  if (value == nullptr) return {};
  return std::string(http::trim(std::string_view(*value).substr(0, value->find(','))));
}

struct Said {
  std::vector<std::string> chain;
  std::string proto, host, prefix;
};

Said said_by_proxies(const http::Fields& fields) {
  Said said{{},
            first_of(fields, "X-Forwarded-Proto"),
            first_of(fields, "X-Forwarded-Host"),
            first_of(fields, "X-Forwarded-Prefix")};
  const bool plain = fields.find("X-Forwarded-For") != nullptr;
  for (const http::Field& field : fields.all()) {
    if (!http::iequal(field.name, plain ? "X-Forwarded-For" : "Forwarded")) continue;
    for (std::string_view rest = field.value; !rest.empty();) {
      // X-Forwarded-For knows no quotes: a visitor's must not swallow what a proxy has added.
      const std::string_view part = plain ? next_plain_part(rest) : next_part(rest, ',');
      if (part.empty()) continue;
      Element element;
      if (plain) {
        element.node = part;
      } else {
        element = parse_element(part);
        // The first of them saw the visitor.
        if (said.chain.empty() && said.proto.empty()) said.proto = element.proto;
        if (said.chain.empty() && said.host.empty()) said.host = element.host;
      }
      said.chain.push_back(sane_node(element.node) ? element.node : "unknown");
    }
  }
  if (said.chain.size() > limits::kForwardedChain) {  // the nearest are worth most
    said.chain.erase(said.chain.begin(), said.chain.end() - limits::kForwardedChain);
  }
  return said;
}

// RFC 7239 §4: whatever holds a colon or a bracket is quoted, an IPv6 address bracketed.
std::string forwarded_node(const std::string& node) {
  if (node.find(':') == std::string::npos) return node;
  const bool bare = node.front() != '[' && node.find(':') != node.rfind(':');
  return bare ? "\"[" + node + "]\"" : "\"" + node + "\"";
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

std::string element(const std::string& node, bool secure, const std::string& host) {
  std::string out = "for=" + forwarded_node(node) + (secure ? ";proto=https" : ";proto=http");
  if (!host.empty()) out += ";host=" + quoted(host);
  return out;
}

}  // namespace

VisitorFacts visitor_facts(const http::Fields& fields, const std::string& peer, bool secure,
                           const std::vector<Cidr>& trusted) {
  VisitorFacts facts{peer, secure, {}};
  if (!contains(trusted, peer)) return facts;
  Said said = said_by_proxies(fields);
  static const std::vector<Cidr> kAnywhere = {Cidr::parse("::/0").value()};
  for (auto node = said.chain.rbegin(); node != said.chain.rend(); ++node) {
    const std::string_view address = without_port(*node);
    if (!contains(kAnywhere, address)) break;  // a name: behind it nobody is known
    facts.address = address;
    if (!contains(trusted, address)) break;
  }
  if (http::iequal(said.proto, "https")) facts.secure = true;
  if (http::iequal(said.proto, "http")) facts.secure = false;
  if (!http::valid_host(said.host)) said.host.clear();
  if (!said.prefix.starts_with('/')) said.prefix.clear();
  facts.proxied = {std::move(said.chain), peer, secure, std::move(said.host),
                   std::move(said.prefix)};
  return facts;
}

void rewrite_request(http::Request& request, const Route& route, const VisitorFacts& visitor) {
  http::Fields& fields = request.fields;
  const std::string asked = fields.find("Host") != nullptr ? *fields.find("Host") : std::string();
  http::forward(request);
  http::remove_forwarded(fields);  // believed from nobody outside (threat 17)

  std::string addresses, forwarded, host = asked, prefix;
  if (visitor.proxied) {
    const VisitorFacts::Proxied& proxied = *visitor.proxied;
    if (!proxied.host.empty()) host = proxied.host;
    prefix = proxied.prefix;
    for (const std::string& node : proxied.chain) {
      addresses += node + ", ";
      // Only of the first is it known how it came.
      forwarded += (forwarded.empty() ? element(node, visitor.secure, host)
                                      : "for=" + forwarded_node(node)) +
                   ", ";
    }
    addresses += proxied.peer;
    forwarded += element(proxied.peer, proxied.peer_secure, asked);
  } else {
    addresses = visitor.address;
    forwarded = element(visitor.address, visitor.secure, host);
  }
  prefix += route.prefix;
  fields.add("X-Forwarded-For", addresses);
  fields.add("X-Forwarded-Proto", visitor.secure ? "https" : "http");
  if (!host.empty()) fields.add("X-Forwarded-Host", host);
  if (!prefix.empty()) fields.add("X-Forwarded-Prefix", prefix);
  fields.add("Forwarded", forwarded);
  fields.set("X-Request-Id", visitor.request_id);
  request.target = route.target;
}

}  // namespace leat::relay
