// Names and paths: the Host field and the canonical form of a request target.
#include <arpa/inet.h>

#include <charconv>

#include "http/chars.h"
#include "http/head.h"

namespace leat::http {
namespace {

constexpr std::size_t kMaxName = 253;  // RFC 1035 §3.1 in text form
constexpr std::size_t kMaxLabel = 63;

bool valid_port(std::string_view port) {  // RFC 3986 §3.2.3 allows an empty one
  unsigned value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  return port.empty() ||
         (error == std::errc() && end == port.data() + port.size() && value <= 65535);
}

bool valid_ipv6(std::string_view text) {
  in6_addr address;
  return text.size() < INET6_ADDRSTRLEN &&
         ::inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

bool valid_name(std::string_view name) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  if (name.empty() || name.size() > kMaxName) return false;
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if (!detail::is(detail::kUnreserved, c) || c == '~' || ++label > kMaxLabel) {
      return false;
    }
  }
  return label > 0;
}

// A Host value's two parts. Brackets stay with the host.
std::pair<std::string_view, std::string_view> split_port(std::string_view host) {
  const std::size_t bracket = host.rfind(']');
  const std::size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return {host, {}};
  return {host.substr(0, colon), host.substr(colon + 1)};
}

// --- canonical_target ---

constexpr char kHex[] = "0123456789ABCDEF";

void append_encoded(std::string& out, std::uint8_t c) {
  out.push_back('%');
  out.push_back(kHex[c >> 4]);
  out.push_back(kHex[c & 15]);
}

// Percent-encoding in its one normal form (RFC 3986 §6.2.2); nullopt for a bad one or a control
// character.
std::optional<std::string> normalise_encoding(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  for (std::size_t i = 0; i < path.size(); ++i) {
    auto c = static_cast<std::uint8_t>(path[i]);
    if (c != '%') {
      if (c == '/' || detail::is(detail::kPathChar, c)) {
        out.push_back(static_cast<char>(c));
      } else {
        append_encoded(out, c);
      }
      continue;
    }
    if (path.size() - i < 3) return std::nullopt;
    const int high = detail::hex_value(static_cast<std::uint8_t>(path[i + 1]));
    const int low = detail::hex_value(static_cast<std::uint8_t>(path[i + 2]));
    if (high < 0 || low < 0) return std::nullopt;
    i += 2;
    c = static_cast<std::uint8_t>(high << 4 | low);
    if (c < ' ' || c == 0x7f) return std::nullopt;
    if (detail::is(detail::kUnreserved, c)) {
      out.push_back(static_cast<char>(c));
    } else {
      append_encoded(out, c);
    }
  }
  return out;
}

bool is_dots(std::string_view text) { return text == "." || text == ".."; }

// Whether a server that decodes slashes, takes '\' for one, or cuts parameters off, be it behind a
// ';' that it has decoded, would find a dot segment where we find a name.
bool hides_dots(std::string_view segment) {
  for (;;) {
    const std::size_t end = std::min(segment.find("%2F"), segment.find("%5C"));
    const std::string_view part = segment.substr(0, end);
    if (is_dots(part.substr(0, std::min(part.find(';'), part.find("%3B"))))) return true;
    if (end == std::string_view::npos) return false;
    segment.remove_prefix(end + 3);
  }
}

// RFC 3986 §5.2.4 on a path that begins with '/', except that going above the root is an error.
std::optional<std::string> resolve_dots(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    path.remove_prefix(end);
    if (is_dots(segment)) {
      if (segment == "..") {
        if (out.empty()) return std::nullopt;
        out.resize(out.rfind('/'));
      }
      if (path.empty()) out.push_back('/');
    } else if (hides_dots(segment)) {
      return std::nullopt;
    } else {
      out.append(1, '/').append(segment);
    }
  }
  return out;
}

}  // namespace

bool valid_host(std::string_view host) {
  const auto [name, port] = split_port(host);
  if (!valid_port(port)) return false;
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
    return valid_ipv6(name.substr(1, name.size() - 2));
  }
  return valid_name(name);
}

std::string host_name(std::string_view host) {
  std::string name(split_port(host).first);
  if (!name.empty() && name.back() == '.') name.pop_back();
  for (char& c : name) c = to_lower(c);
  return name;
}

std::optional<std::string> canonical_target(std::string_view target) {
  if (target == "*") return "*";
  if (target.empty() || target.front() != '/' || !detail::all(detail::kTargetChar, target)) {
    return std::nullopt;
  }
  const std::size_t query = std::min(target.find('?'), target.size());
  const auto path = normalise_encoding(target.substr(0, query));
  if (!path) return std::nullopt;
  auto out = resolve_dots(*path);
  if (out) out->append(target.substr(query));
  return out;
}

}  // namespace leat::http
