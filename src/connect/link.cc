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
  message.mutable_secret()->assign(link.secret.reveal());  // no copy beside it
  message.set_tunnel(link.agent.tunnel);
  for (const std::string& relay : link.agent.relays) message.add_relays(relay);
  for (const std::string& direct : link.agent.direct) message.add_direct(direct);
  message.set_ends(link.ends);
  message.set_name(control::printable(link.agent.name, kNameMax));
  message.set_pin(link.agent.pin);
  const Secret bytes(message.SerializeAsString());
  wipe(*message.mutable_secret());
  std::string out(page);
  return out.append("#").append(kFragment).append(base64url(as_bytes(bytes.reveal())));
}

bool is_link(std::string_view text) { return fragment_at(text) != text.npos; }

Result<Link> parse_link(std::string_view text) {
  const std::size_t at = fragment_at(text);
  if (at == text.npos) return fail(Code::BAD_LINK);
  auto bytes = unbase64url(text.substr(at));
  proto::PairingLink message;
  Link out;
  const bool parsed = bytes && message.ParseFromString(*bytes);
  if (bytes) wipe(*bytes);
  out.secret = Secret(std::move(*message.mutable_secret()));
  if (!parsed || message.agent().size() != out.agent.key.bytes.size() ||
      message.pairing().size() != kPairingSize || out.secret.reveal().size() != kSecretSize ||
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
  out.ends = message.ends();
  return out;
}

}  // namespace leat::connect
