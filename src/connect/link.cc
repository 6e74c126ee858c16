#include "connect/link.h"

#include <algorithm>

#include "base/crypto_util.h"
#include "control/convert.h"
#include "proto/sealed.pb.h"

namespace leat::connect {
namespace {

constexpr std::size_t kPairingSize = 8, kSecretSize = 16, kPinSize = 32;
constexpr std::size_t kNameMax = 255;

std::size_t fragment_at(std::string_view text) {
  const std::size_t hash = text.find('#');
  if (hash == text.npos || !text.substr(hash + 1).starts_with(kFragment)) return text.npos;
  return hash + 1 + kFragment.size();
}

}  // namespace

std::string format(const Link& link, std::string_view page) {
  proto::PairingLink message;
  message.set_agent(std::string(as_chars(link.agent.key.bytes)));
  message.set_pairing(link.pairing);
  message.set_secret(std::string(link.secret.reveal()));
  message.set_tunnel(link.agent.tunnel);
  for (const std::string& relay : link.agent.relays) message.add_relays(relay);
  for (const std::string& direct : link.agent.direct) message.add_direct(direct);
  message.set_ends(link.ends);
  message.set_name(control::printable(link.agent.name, kNameMax));
  message.set_pin(link.agent.pin);
  std::string out(page);
  return out.append("#").append(kFragment).append(base64url(as_bytes(message.SerializeAsString())));
}

bool is_link(std::string_view text) { return fragment_at(text) != text.npos; }

Result<Link> parse_link(std::string_view text) {
  const std::size_t at = fragment_at(text);
  if (at == text.npos) return fail(Code::BAD_LINK);
  const auto bytes = unbase64url(text.substr(at));
  proto::PairingLink message;
  Link out;
  if (!bytes || !message.ParseFromString(*bytes) ||
      message.agent().size() != out.agent.key.bytes.size() ||
      message.pairing().size() != kPairingSize || message.secret().size() != kSecretSize ||
      (!message.pin().empty() && message.pin().size() != kPinSize)) {
    return fail(Code::BAD_LINK, "what stands behind the # is damaged");
  }
  std::copy(message.agent().begin(), message.agent().end(), out.agent.key.bytes.begin());
  out.agent.tunnel = message.tunnel();
  out.agent.relays.assign(message.relays().begin(), message.relays().end());
  out.agent.direct.assign(message.direct().begin(), message.direct().end());
  out.agent.name = control::printable(message.name(), kNameMax);
  out.agent.pin = message.pin();
  out.pairing = message.pairing();
  out.secret = Secret(message.secret());
  out.ends = message.ends();
  return out;
}

}  // namespace leat::connect
