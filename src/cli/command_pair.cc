#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

#include "agent/devices.h"
#include "agent/state_file.h"
#include "base/crypto_util.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/qr.h"
#include "cli/sealed_state.h"
#include "cli/terminal.h"
#include "connect/link.h"
#include "crypto/handshake.h"
#include "crypto/identity.h"

namespace leat::cli {
namespace {

Result<connect::Link> offer(const PairArguments& arguments, const std::string& directory,
                            const agent::SealedAgent& known) {
  const auto identity = crypto::Identity::load_or_create(directory + "/identity.pem");
  if (!identity) return tl::unexpected(identity.error());
  std::array<std::uint8_t, agent::Pairing::kIdSize> id;
  random_bytes(id);
  const Secret secret = OneTimeCode::make_secret();
  const crypto::Key psk = crypto::pairing_psk(as_bytes(secret.reveal()));
  agent::Pairing pairing;
  pairing.id = as_chars(id);
  std::ranges::copy(psk.reveal(), pairing.code.hash.begin());
  pairing.name = arguments.name;
  pairing.scope = {split_limit(arguments.services), split_limit(arguments.paths)};
  warn_of_unknown(directory, pairing.scope.services);
  pairing.code.ends = agent::unix_now() + std::int64_t{60} * arguments.minutes;
  const auto written =
      agent::DeviceFile(directory).update([&](agent::Devices& all) -> Result<void> {
        all.pairings.push_back(pairing);
        return {};
      });
  if (!written) return tl::unexpected(written.error());
  connect::Link link;
  link.agent.key = identity->sealing().public_key();
  link.agent.tunnel = known.tunnel;
  link.agent.relays = {known.ways.relay};
  for (const HostPort& address : known.ways.direct) link.agent.direct.push_back(address.text());
  link.agent.name = known.ways.name;
  link.agent.pin = known.ways.pin;
  link.pairing = pairing.id;
  link.secret = secret;
  link.ends = pairing.code.ends;
  return link;
}

}  // namespace

int run_pair(const PairArguments& arguments) {
  const auto directory = sealed_state_dir(arguments.state_dir);
  if (!directory) return report(directory.error());
  const auto known = agent::read_sealed_agent(*directory);
  if (!known) return report(known.error());
  if (known->tunnel.empty() && known->ways.direct.empty()) {
    return report({Code::NO_AGENT, "the agent has not reached its relay yet"});
  }
  for (const std::string& path : split_limit(arguments.paths)) {
    if (!path.starts_with('/')) return report({Code::USAGE, "--paths: expected /…, found " + path});
  }
  const auto link = offer(arguments, *directory, *known);
  if (!link) return report(link.error());
  if (known->state != "online") {
    std::fprintf(stderr, "The agent is %s: a device can pair once it is online again.\n",
                 known->state.c_str());
  }
  // The browser has the last word on certificates, and none of its pages can look at a pin.
  if (arguments.page.starts_with("http") && !link->agent.pin.empty()) {
    std::fprintf(
        stderr,
        "The relay's certificate is trusted by its pin, which no browser can check: a page "
        "gets through only if a public authority has signed it too (leat relay --cert FILE "
        "--key FILE).\n");
  }
  const std::string text = connect::format(*link, arguments.page);
  if (arguments.no_qr) {
    print(text + "\n");
    return kExitStopped;
  }
  print(qr_code(text) + "\n" + text + "\n\nGood for " + std::to_string(arguments.minutes) +
        " minutes and one device, which may use " +
        (arguments.services.empty() ? "every sealed service" : arguments.services) +
        (arguments.paths.empty() ? "" : ", below " + arguments.paths) +
        ".\nWhoever has this link is let in: it goes to that device and to nobody else.\n");
  return kExitStopped;
}

}  // namespace leat::cli
