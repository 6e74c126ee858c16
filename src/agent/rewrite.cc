#include "agent/rewrite.h"

#include <algorithm>
#include <utility>

#include "http/proxy.h"

namespace leat::agent {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

// RFC 6454 §7: an origin is scheme "://" host [ ":" port ], so what follows the slashes is all of
// it.
std::string_view authority_of(std::string_view origin) {
  const std::size_t at = origin.find("://");
  return at == origin.npos ? std::string_view() : origin.substr(at + 3);
}

std::string authority_text(const Service& service) {
  std::string text = service.target.text();
  const std::uint16_t usual = service.target_tls ? 443 : 80;
  if (service.target.port == usual) text.resize(text.rfind(':'));
  return text;
}

}  // namespace

FieldPolicy FieldPolicy::parse(std::string_view text) {
  if (text == "rewrite") return {Kind::rewrite, {}};
  if (text == "preserve") return {Kind::preserve, {}};
  if (text == "remove") return {Kind::remove, {}};
  return {Kind::literal, std::string(text)};
}

std::string Service::target_text() const {
  std::string scheme = control::name(kind);
  const bool web = kind == control::TunnelKind::http || kind == control::TunnelKind::ws;
  if (target_tls) scheme = web ? scheme + 's' : "tls+" + scheme;
  return scheme + "://" + target.text();
}

Rewrite::Rewrite(const Service& service)
    : host_policy_(service.host_header),
      origin_policy_(service.origin),
      authority_(authority_text(service)),
      origin_((service.target_tls ? "https://" : "http://") + authority_) {}

void Rewrite::request(http::Request& request, std::string_view visitor_host) const {
  http::forward(request);
  http::Fields& fields = request.fields;
  if (const std::string* origin = fields.find("Origin")) {
    switch (origin_policy_.kind) {
      case FieldPolicy::Kind::rewrite:
        if (!visitor_host.empty() && equal_ignoring_case(authority_of(*origin), visitor_host)) {
          fields.set("Origin", origin_);
        }
        break;
      case FieldPolicy::Kind::preserve:
        break;
      case FieldPolicy::Kind::remove:
        fields.remove("Origin");
        break;
      case FieldPolicy::Kind::literal:
        fields.set("Origin", origin_policy_.value);
        break;
    }
  }
  switch (host_policy_.kind) {
    case FieldPolicy::Kind::rewrite:
    case FieldPolicy::Kind::remove:
      fields.set("Host", authority_);
      break;
    case FieldPolicy::Kind::preserve:
      break;
    case FieldPolicy::Kind::literal:
      fields.set("Host", host_policy_.value);
      break;
  }
}

void Rewrite::disguise(http::Request& request) const {
  if (origin_policy_.kind == FieldPolicy::Kind::rewrite) request.fields.set("Origin", origin_);
}

void Rewrite::response(http::Response& response) const {
  http::forward(response);
  if (host_policy_.kind == FieldPolicy::Kind::preserve) return;
  const bool literal = host_policy_.kind == FieldPolicy::Kind::literal;
  const std::string asked =
      literal ? origin_.substr(0, origin_.find("://") + 3) + host_policy_.value : origin_;
  const std::string* location = response.fields.find("Location");
  if (location == nullptr || location->size() < asked.size()) return;
  const std::string_view rest = std::string_view(*location).substr(asked.size());
  if (!equal_ignoring_case(location->substr(0, asked.size()), asked)) return;
  if (rest.empty()) {
    response.fields.set("Location", "/");
  } else if (rest.front() == '/' && !rest.starts_with("//")) {
    response.fields.set("Location", std::string(rest));
  }
}

}  // namespace leat::agent
