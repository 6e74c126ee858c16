#include "base/join_url.h"

#include "base/crypto_util.h"
#include "base/names.h"

namespace leat {
namespace {

constexpr std::uint16_t kHttps = 443;
constexpr std::string_view kScheme = "https://", kPath = "/join#";

tl::unexpected<Error> refused() {
  return fail(Code::USAGE, "expected https://HOST[:PORT]/join#CODE.PIN as the relay prints it");
}

}  // namespace

Secret JoinUrl::text() const {
  std::string out(kScheme);
  const std::string address = relay.text();
  const std::string port = ":" + std::to_string(kHttps);
  out += relay.port == kHttps ? address.substr(0, address.size() - port.size()) : address;
  out += kPath;
  out += code.reveal();
  if (!pin.empty()) out.append(".").append(base64url(as_bytes(pin)));
  return Secret(std::move(out));
}

Result<JoinUrl> parse_join_url(std::string_view text) {
  const std::size_t path = text.find(kPath);
  if (!text.starts_with(kScheme) || path == text.npos) return refused();
  const std::string_view host = text.substr(kScheme.size(), path - kScheme.size());
  const std::string_view secret = text.substr(path + kPath.size());
  // A port at the end, outside the brackets of an IPv6 address.
  const std::size_t colon = host.rfind(':');
  const bool has_port = colon != host.npos && host.find(']', colon) == host.npos;
  auto relay = parse_host_port(has_port ? std::string(host)
                                        : std::string(host) + ":" + std::to_string(kHttps));
  if (!relay) return refused();
  const std::size_t dot = secret.find('.');
  JoinUrl out{std::move(*relay), Secret(std::string(secret.substr(0, dot))), {}};
  if (out.code.empty()) return refused();
  if (dot != secret.npos) {
    auto pin = parse_pin(secret.substr(dot + 1));
    if (!pin) return refused();
    out.pin = std::move(*pin);
  }
  return out;
}

}  // namespace leat
