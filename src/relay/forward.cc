#include "relay/forward.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/crypto_util.h"
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

// RFC 6265 §4.1: the pair, then attributes after semicolons. The path is ours to say where there is
// a prefix, the domain nobody's.
std::string confined_cookie(std::string_view cookie, std::string_view prefix) {
  const std::size_t pair = std::min(cookie.find(';'), cookie.size());
  std::string out(cookie.substr(0, pair));
  std::string path = "/";
  for (std::size_t at = pair; at < cookie.size();) {
    const std::size_t end = std::min(cookie.find(';', at + 1), cookie.size());
    const std::string_view attribute = http::trim(cookie.substr(at + 1, end - at - 1));
    at = end;
    const std::string_view name = http::trim(attribute.substr(0, attribute.find('=')));
    if (http::iequal(name, "Domain")) continue;
    if (!prefix.empty() && http::iequal(name, "Path")) {
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
  return prefix.empty() ? out : out + "; Path=" + std::string(prefix) + path;
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

void confine_to_prefix(http::Fields& fields, std::string_view prefix) {
  for (const char* name : kWholeOrigin) fields.remove(name);
  // All rooms have the same path: a cookie of one would go to all.
  if (prefix == kRoomDoor) fields.remove("Set-Cookie");
  for (http::Field& field : fields.all()) {
    if (http::iequal(field.name, "Set-Cookie")) {
      field.value = confined_cookie(field.value, prefix);
    } else if (http::iequal(field.name, "Location") ||
               http::iequal(field.name, "Content-Location")) {
      // "//host/" names another authority (RFC 3986 §4.2).
      if (field.value.starts_with('/') && !field.value.starts_with("//")) {
        field.value.insert(0, prefix);
      }
    }
  }
}

void confine_to_host(http::Fields& fields) {
  for (http::Field& field : fields.all()) {
    if (http::iequal(field.name, "Set-Cookie")) field.value = confined_cookie(field.value, {});
  }
}

void rewrite_response(http::Response& response, std::string_view prefix, int minor, bool keep_alive,
                      const std::string& request_id) {
  http::forward(response);
  if (!prefix.empty()) confine_to_prefix(response.fields, prefix);
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
