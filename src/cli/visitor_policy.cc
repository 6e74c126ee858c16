#include "cli/visitor_policy.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "auth/keys.h"
#include "base/crypto_util.h"
#include "base/file.h"

namespace leat::cli {
namespace {

using Named = control::VisitorPolicy::Named;
constexpr std::size_t kTokenMin = 16, kPasswordMin = 8;  // characters
constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// One line; nullopt: not of the form.
std::optional<Named> token(std::string_view line) {
  const std::size_t end = line.find_first_of(kBlank);
  if (end == line.npos) return std::nullopt;
  const std::string_view secret = trimmed(line.substr(end));
  if (secret.size() < kTokenMin || secret.find_first_of(kBlank) != secret.npos) return std::nullopt;
  return Named{std::string(line.substr(0, end)), sha256(as_bytes(secret))};
}

std::optional<Named> user(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == line.npos || colon == 0 || line.size() - colon - 1 < kPasswordMin) {
    return std::nullopt;
  }
  return Named{std::string(line.substr(0, colon)), sha256(as_bytes(line))};
}

// Blank lines and those that begin with '#' say nothing.
Result<std::vector<Named>> read_lines(const std::string& path, std::string_view form,
                                      std::optional<Named> (*parse)(std::string_view)) {
  const auto text = read_private_file(path, Code::CONFIG);
  if (!text) return tl::unexpected(text.error());
  std::vector<Named> out;
  std::size_t number = 0;
  for (std::string_view rest = text->reveal(); !rest.empty();) {
    ++number;
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.starts_with('#')) continue;
    auto named = parse(line);
    if (!named) {
      return fail(Code::CONFIG,
                  path + ":" + std::to_string(number) + ": expected " + std::string(form));
    }
    out.push_back(std::move(*named));
  }
  // Nobody would be let in, or, worse, everybody.
  if (out.empty()) return fail(Code::CONFIG, path + ": holds nothing");
  return out;
}

}  // namespace

Result<control::VisitorPolicy> visitor_policy(const config::ServiceConfig& service) {
  control::VisitorPolicy out;
  out.allow = service.allow;
  if (service.visitor_tokens) {
    auto read =
        read_lines(*service.visitor_tokens, "NAME TOKEN, a token of 16 characters or more", token);
    if (!read) return tl::unexpected(read.error());
    out.tokens = std::move(*read);
  }
  if (service.visitor_users) {
    auto read = read_lines(*service.visitor_users,
                           "USER:PASSWORD, a password of 8 characters or more", user);
    if (!read) return tl::unexpected(read.error());
    out.users = std::move(*read);
  }
  if (service.visitor_jwt_keys) {
    const auto keys = auth::KeySet::load(*service.visitor_jwt_keys);
    if (!keys) return fail(Code::CONFIG, keys.error().detail);
    auto text = read_file(*service.visitor_jwt_keys, Code::CONFIG);
    if (!text) return tl::unexpected(text.error());
    out.jwt_keys = Secret(std::move(*text));
    out.jwt_audience = service.visitor_jwt_audience.value_or("");
    out.jwt_issuer = service.visitor_jwt_issuer.value_or("");
  }
  return out;
}

}  // namespace leat::cli
