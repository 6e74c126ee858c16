// The character classes of RFC 9110 §5.6 and RFC 3986, as tables, and comparison without case.
// ASCII only: the locale has no say in a protocol.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace leat::http {

namespace detail {

enum : std::uint8_t {
  kToken = 1,        // tchar, RFC 9110 §5.6.2
  kText = 2,         // HTAB, SP, VCHAR, obs-text: what a field value may hold (§5.5)
  kUnreserved = 4,   // RFC 3986 §2.3
  kPathChar = 8,     // pchar without pct-encoded, RFC 3986 §3.3
  kTargetChar = 16,  // VCHAR but '#': what a request target may hold at all
};

consteval std::array<std::uint8_t, 256> char_classes() {
  std::array<std::uint8_t, 256> t{};
  const auto add = [&t](std::size_t c, unsigned bits) {
    t[c] = static_cast<std::uint8_t>(t[c] | bits);
  };
  const auto mark = [&](std::string_view chars, unsigned bits) {
    for (const char c : chars) add(static_cast<std::uint8_t>(c), bits);
  };
  add('\t', kText);
  for (std::size_t c = ' '; c < 256; ++c) {
    if (c != 0x7f) add(c, kText);
    if (c > ' ' && c < 0x7f && c != '#') add(c, kTargetChar);
  }
  const std::string_view alnum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  mark(alnum, kToken | kUnreserved | kPathChar);
  mark("!#$%&'*+-.^_`|~", kToken);
  mark("-._~", kUnreserved | kPathChar);
  mark("!$&'()*+,;=:@", kPathChar);
  return t;
}

inline constexpr std::array<std::uint8_t, 256> kChars = char_classes();

inline bool is(std::uint8_t classes, std::uint8_t c) { return (kChars[c] & classes) != 0; }
inline bool is(std::uint8_t classes, char c) { return is(classes, static_cast<std::uint8_t>(c)); }

inline bool all(std::uint8_t classes, std::string_view text) {
  for (const char c : text) {
    if (!is(classes, c)) return false;
  }
  return true;
}

// The value of a hex digit, or -1.
inline int hex_value(std::uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace detail

inline char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

inline bool iequal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

// Without the optional whitespace around a field value or list element (RFC 9110 §5.6.3).
inline std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

inline bool is_token(std::string_view text) {
  return !text.empty() && detail::all(detail::kToken, text);
}

// Calls f with every non-empty element of a comma-separated list (RFC 9110 §5.6.1) until it is
// true.
template <typename F>
bool any_element(std::string_view list, F&& f) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view element = trim(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    if (!element.empty() && f(element)) return true;
  }
  return false;
}

}  // namespace leat::http
