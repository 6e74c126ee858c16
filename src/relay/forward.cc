#include "relay/forward.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/crypto_util.h"
#include "control/client.h"
#include "http/chars.h"
#include "http/proxy.h"

namespace leat::relay {
namespace {

// Answers that would hold for every tunnel of a shared origin.
constexpr std::array kWholeOrigin = {"Service-Worker-Allowed",
                                     "Clear-Site-Data",
                                     "Strict-Transport-Security",
                                     "Public-Key-Pins",
                                     "Alt-Svc",
                                     "NEL",  // and the next: reports of every later request
                                     "Report-To",
                                     "Accept-CH",
                                     "Critical-CH"};

// Whether a path is the tunnel's as the visitor names it. A service that heeds X-Forwarded-Prefix
// answers so.
bool below(std::string_view path, const Place& place) {
  return std::ranges::any_of(
      std::array{&place.prefix, &place.told}, [&](const std::string* prefix) {
        if (prefix->empty() || !path.starts_with(*prefix)) return false;
        const std::string_view rest = path.substr(prefix->size());
        return rest.empty() || rest.front() == '/' || rest.front() == '?' || rest.front() == '#';
      });
}

// Where the path begins in a reference to this origin: one to a path, or to a host by which the
// visitor has asked. The scheme is not compared, since a service behind TLS of ours may not know.
std::optional<std::size_t> own_path(std::string_view reference, const Place& place) {
  std::size_t at = 0;
  for (const std::string_view scheme : {"http:", "https:"}) {
    if (http::iequal(reference.substr(0, scheme.size()), scheme)) at = scheme.size();
  }
  // "//host/" names an authority (RFC 3986 §4.2).
  if (!reference.substr(at).starts_with("//")) {
    return at == 0 && reference.starts_with('/') ? std::optional(at) : std::nullopt;
  }
  at += 2;
  const std::string_view authority =
      reference.substr(at, std::min(reference.find_first_of("/?#", at), reference.size()) - at);
  const bool own = http::iequal(authority, place.host) || http::iequal(authority, place.as);
  return own && !authority.empty() ? std::optional(at + authority.size()) : std::nullopt;
}

// The short door is left out: services have paths like it.
bool of_a_tunnel(std::string_view path) {
  constexpr std::string_view kDoor = "/tunnel/";
  if (!path.starts_with(kDoor)) return false;
  const std::string_view rest = path.substr(kDoor.size());
  return control::valid_tunnel_id(rest.substr(0, rest.find_first_of("/?#")));
}

void confine_reference(std::string& reference, const Place& place) {
  const auto at = own_path(reference, place);
  if (!at) return;
  const std::string_view path = std::string_view(reference).substr(*at);
  if (below(path, place)) return;
  // Whoever names the host and a tunnel means that one.
  if (*at > 0 && of_a_tunnel(path)) return;
  reference.insert(*at, path.starts_with('/') ? place.prefix : place.prefix + "/");
}

// RFC 6265 §4.1: the pair, then attributes after semicolons. The path is ours to say where there is
// a prefix, the domain nobody's.
std::string confined_cookie(std::string_view cookie, const Place& place) {
  const bool shared = !place.prefix.empty();
  const std::size_t pair = std::min(cookie.find(';'), cookie.size());
  std::string out(cookie.substr(0, pair));
  std::string path = "/";
  for (std::size_t at = pair; at < cookie.size();) {
    const std::size_t end = std::min(cookie.find(';', at + 1), cookie.size());
    const std::string_view attribute = http::trim(cookie.substr(at + 1, end - at - 1));
    at = end;
    const std::string_view name = http::trim(attribute.substr(0, attribute.find('=')));
    if (http::iequal(name, "Domain")) continue;
    if (shared && http::iequal(name, "Path")) {
      const std::size_t equals = attribute.find('=');
      const std::string_view value =
          equals == attribute.npos ? std::string_view() : http::trim(attribute.substr(equals + 1));
      path = value.starts_with('/') ? std::string(value) : "/";  // the last one counts (§5.3)
      continue;
    }
    if (attribute.empty()) continue;
    out += "; ";
    out += attribute;
  }
  if (!shared) return out;
  return out + "; Path=" + (below(path, place) ? path : place.prefix + path);
}

bool plain_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

}  // namespace

std::string request_id_of(const http::Request& request) {
  const std::string* given = request.fields.find("X-Request-Id");
  if (given != nullptr && plain_id(*given)) return *given;
  return random_id();
}

Place place_of(const http::Request& request, std::string prefix) {
  if (prefix.empty()) return {};
  const auto text = [&](std::string_view name) {
    const std::string* value = request.fields.find(name);
    return value == nullptr ? std::string() : *value;
  };
  return {std::move(prefix), text("X-Forwarded-Prefix"), text("Host"), text("X-Forwarded-Host")};
}

void confine_to_prefix(http::Fields& fields, const Place& place) {
  for (const char* name : kWholeOrigin) fields.remove(name);
  // All rooms have the same path: a cookie of one would go to all.
  if (place.prefix == kRoomDoor) fields.remove("Set-Cookie");
  for (http::Field& field : fields.all()) {
    if (http::iequal(field.name, "Set-Cookie")) {
      field.value = confined_cookie(field.value, place);
    } else if (http::iequal(field.name, "Location") ||
               http::iequal(field.name, "Content-Location")) {
      confine_reference(field.value, place);
    }
  }
}

void confine_to_host(http::Fields& fields) {
  for (http::Field& field : fields.all()) {
    if (http::iequal(field.name, "Set-Cookie")) field.value = confined_cookie(field.value, {});
  }
}

void rewrite_response(http::Response& response, const Place& place, int minor, bool keep_alive,
                      const std::string& request_id) {
  http::forward(response);
  if (!place.prefix.empty()) confine_to_prefix(response.fields, place);
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
