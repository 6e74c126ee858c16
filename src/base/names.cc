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
