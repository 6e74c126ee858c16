#include "base/names.h"

#include <algorithm>

#include "base/crypto_util.h"

namespace leat {

bool valid_tunnel_id(std::string_view id) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !id.empty() && id.size() <= 63 && id.front() != '-' && id.back() != '-' &&
         std::all_of(id.begin(), id.end(), good);
}

bool valid_host_name(std::string_view name) {
  if (name.size() > 253 || name.find('.') == name.npos) return false;
  const std::string_view last = name.substr(name.rfind('.') + 1);
  if (last.find_first_not_of("0123456789") == last.npos) return false;  // an address, or no label
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('.', at), name.size());
    if (!valid_tunnel_id(name.substr(at, end - at))) return false;  // the same rule for a label
    at = end + 1;
  }
  return true;
}

Result<std::string> parse_pin(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  std::optional<std::string> raw;
  if (text.starts_with(kPrefix)) {
    std::string digits(text.substr(kPrefix.size()));
    std::erase(digits, ':');
    raw = unhex(digits);
  } else {
    raw = unbase64url(text);
  }
  if (raw && raw->size() == sizeof(Sha256)) return *raw;
  return fail(Code::CONFIG,
              "expected a pin, \"sha256:\" and 64 hex digits, found \"" + std::string(text) + "\"");
}

}  // namespace leat
