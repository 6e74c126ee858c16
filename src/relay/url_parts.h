// The address in a URL of the relay's own, "https://host[:port][/path]", taken apart.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace leat::relay {

struct UrlParts {
  std::string_view scheme, host, port;  // port with its colon, or empty
};

inline UrlParts parts_of(std::string_view url) {
  const std::size_t begin = url.find("://") + 3;
  const std::string_view authority = url.substr(begin, url.find('/', begin) - begin);
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon =
      std::min(authority.find(':', bracket == authority.npos ? 0 : bracket), authority.size());
  return {url.substr(0, begin), authority.substr(0, colon), authority.substr(colon)};
}

}  // namespace leat::relay
