#include "auth/jws.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "auth/strict_json.h"
#include "base/crypto_util.h"

namespace leat::auth {
namespace {

struct Header {
  Algorithm algorithm;
  std::string key_id;
};

Verified<Header> read_header(std::string_view encoded) {
  const auto text = unbase64url(encoded);
  const auto header = text ? parse_object(*text) : std::nullopt;
  if (!header) return tl::unexpected(Fault::malformed);
  const auto said = header->find("alg");
  if (said == header->end() || !said->is_string()) return tl::unexpected(Fault::malformed);
  const auto algorithm = algorithm_of(said->get<std::string>());
  // RFC 7515 §4.1.11: whoever understands none of the extensions refuses them all.
  if (!algorithm || header->contains("crit")) return tl::unexpected(Fault::unsupported);
  Header out{*algorithm, {}};
  if (const auto id = header->find("kid"); id != header->end()) {
    if (!id->is_string()) return tl::unexpected(Fault::malformed);
    out.key_id = id->get<std::string>();
  }
  return out;
}

}  // namespace

std::string_view describe(Fault fault) {
  constexpr std::array<std::string_view, 9> kTexts = {"malformed",
                                                      "its algorithm is not supported",
                                                      "no key for its algorithm and key id",
                                                      "its signature does not verify",
                                                      "expired",
                                                      "not valid yet",
                                                      "made for another audience",
                                                      "from another issuer",
                                                      "a claim is missing or malformed"};
  return kTexts[static_cast<std::size_t>(fault)];
}

Verified<Signed> verify_jws(std::string_view token, const KeySet& keys) {
  if (token.size() > kToken) return tl::unexpected(Fault::malformed);
  const std::size_t first = token.find('.'), last = token.rfind('.');
  if (first == token.npos || first == last || token.find('.', first + 1) != last) {
    return tl::unexpected(Fault::malformed);
  }
  const auto header = read_header(token.substr(0, first));
  if (!header) return tl::unexpected(header.error());
  auto payload = unbase64url(token.substr(first + 1, last - first - 1));
  const auto signature = unbase64url(token.substr(last + 1));
  if (!payload || !signature) return tl::unexpected(Fault::malformed);
  Fault fault = Fault::unknown_key;
  for (const Key& key : keys.keys()) {
    if (key.algorithm() != header->algorithm) continue;
    if (!key.id().empty() && !header->key_id.empty() && key.id() != header->key_id) continue;
    if (key.verify(as_bytes(token.substr(0, last)), as_bytes(*signature))) {
      return Signed{std::move(*payload), key.fingerprint()};
    }
    fault = Fault::signature;
  }
  return tl::unexpected(fault);
}

}  // namespace leat::auth
