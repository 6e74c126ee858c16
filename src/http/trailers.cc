#include "http/trailers.h"

#include <algorithm>

#include "http/chars.h"

namespace leat::http {
namespace {

constexpr std::string_view kRefused[] = {
    // framing and hops
    "Connection", "Content-Length", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
    // routing and request modifiers
    "Cache-Control", "Expect", "Forwarded", "Host", "Max-Forwards", "Origin", "Pragma", "Range",
    "Referer", "Via",
    // authentication and state
    "Authorization", "Authentication-Info", "Cookie", "Set-Cookie", "WWW-Authenticate",
    // response control
    "Age", "Allow", "Date", "Expires", "Last-Modified", "Location", "Retry-After", "Server", "Vary",
    "Warning",
    // content
    "Content-Disposition", "Content-Encoding", "Content-Location", "Content-Range", "Content-Type"};

constexpr std::string_view kRefusedPrefixes[] = {"Access-Control-", "If-",    "Proxy-", "Sec-",
                                                 "X-Forwarded-",    "X-Real-"};

bool allowed(std::string_view name) {
  return std::none_of(std::begin(kRefused), std::end(kRefused),
                      [&](std::string_view refused) { return iequal(name, refused); }) &&
         std::none_of(std::begin(kRefusedPrefixes), std::end(kRefusedPrefixes),
                      [&](std::string_view prefix) {
                        return iequal(name.substr(0, prefix.size()), prefix);
                      });
}

}  // namespace

std::string filter_trailers(std::string_view section) {
  std::string out;
  while (!section.starts_with("\r\n")) {
    const std::size_t next = section.find("\r\n") + 2;
    const std::string_view line = section.substr(0, next);
    section.remove_prefix(next);
    if (allowed(line.substr(0, line.find(':')))) out.append(line);
  }
  return out.append("\r\n");
}

}  // namespace leat::http
