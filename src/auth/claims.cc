#include "auth/claims.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "auth/strict_json.h"

namespace leat::auth {
namespace {

using nlohmann::json;

constexpr std::size_t kSubject = 255;
constexpr std::size_t kPlan = 64;
constexpr std::size_t kTunnels = 256;
constexpr std::size_t kTunnelText = 253;  // a host's name

bool printable_text(const json& value, std::size_t max) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  return !text.empty() && text.size() <= max && std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

// A NumericDate (RFC 7519 §2) in whole seconds; nullopt: no number, or none that is a time.
std::optional<std::chrono::seconds> date(const json& value) {
  constexpr double kLast = 253402300800;  // the year 10000
  if (!value.is_number()) return std::nullopt;
  const double seconds = std::floor(value.get<double>());
  if (!(seconds >= 0 && seconds < kLast)) return std::nullopt;
  return std::chrono::seconds(static_cast<std::int64_t>(seconds));
}

bool is_for(const json& claims, const std::string& audience) {
  const auto found = claims.find("aud");
  if (found == claims.end()) return audience.empty();
  if (audience.empty()) return false;
  if (found->is_string()) return *found == audience;
  return found->is_array() && std::find(found->begin(), found->end(), audience) != found->end();
}

bool read_tunnels(const json& value, Claims& out) {
  if (!value.is_array() || value.size() > kTunnels) return false;
  out.tunnels.emplace();
  for (const json& each : value) {
    if (!printable_text(each, kTunnelText)) return false;
    out.tunnels->push_back(each.get<std::string>());
  }
  return true;
}

Verified<Claims> read_claims(const json& claims) {
  Claims out;
  const auto subject = claims.find("sub"), expires = claims.find("exp");
  if (subject == claims.end() || !printable_text(*subject, kSubject) || expires == claims.end()) {
    return tl::unexpected(Fault::claims);
  }
  const auto time = date(*expires);
  if (!time) return tl::unexpected(Fault::claims);
  out.subject = subject->get<std::string>();
  out.expires = *time;
  if (const auto plan = claims.find("plan"); plan != claims.end()) {
    if (!printable_text(*plan, kPlan)) return tl::unexpected(Fault::claims);
    out.plan = plan->get<std::string>();
  }
  if (const auto tunnels = claims.find("tunnels"); tunnels != claims.end()) {
    if (!read_tunnels(*tunnels, out)) return tl::unexpected(Fault::claims);
  }
  return out;
}

}  // namespace

bool Claims::allows(std::string_view tunnel) const {
  if (!tunnels) return true;
  return std::ranges::any_of(*tunnels, [&](std::string_view allowed) {
    if (!allowed.ends_with('*')) return tunnel == allowed;
    allowed.remove_suffix(1);
    return tunnel.starts_with(allowed);
  });
}

// A host is named whole: what begins alike belongs to somebody else.
bool Claims::allows_host(std::string_view host) const {
  if (!tunnels) return true;
  return std::ranges::any_of(
      *tunnels, [&](std::string_view allowed) { return allowed == "*" || allowed == host; });
}

Verified<Claims> verify_jwt(std::string_view token, const KeySet& keys,
                            const Expectations& expected, std::chrono::seconds now) {
  const auto verified = verify_jws(token, keys);
  if (!verified) return tl::unexpected(verified.error());
  const auto object = parse_object(verified->payload);
  if (!object) return tl::unexpected(Fault::malformed);
  auto claims = read_claims(*object);
  if (!claims) return claims;
  claims->key = verified->key;
  if (now >= claims->expires + expected.leeway) return tl::unexpected(Fault::expired);
  if (const auto from = object->find("nbf"); from != object->end()) {
    const auto time = date(*from);
    if (!time) return tl::unexpected(Fault::claims);
    if (now + expected.leeway < *time) return tl::unexpected(Fault::not_yet);
  }
  if (!is_for(*object, expected.audience)) return tl::unexpected(Fault::audience);
  if (!expected.issuer.empty()) {
    const auto issuer = object->find("iss");
    if (issuer == object->end() || *issuer != expected.issuer) {
      return tl::unexpected(Fault::issuer);
    }
  }
  return claims;
}

}  // namespace leat::auth
