#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include <array>
#include <string>

#include "cli/commands.h"
#include "cli/process.h"
#include "cli/relay_settings.h"
#include "cli/terminal.h"
#include "cli/version.h"
#include "relay/relay.h"

namespace leat::cli {
namespace {

// The address under which this machine is most likely reached: its first that is not a loopback
// one.
std::string outward_address() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return "localhost";
  std::string found = "localhost";
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    std::array<char, NI_MAXHOST> text;
    ::getnameinfo(one->ifa_addr, sizeof(sockaddr_in), text.data(), text.size(), nullptr, 0,
                  NI_NUMERICHOST);
    if (std::string_view(text.data()).starts_with("127.")) continue;
    found = text.data();
    break;
  }
  ::freeifaddrs(all);
  return found;
}

// What an agent is to be given as --relay.
std::string agent_address(const relay::Info& info, const std::string& domain) {
  HostPort address = info.listen;
  if (!domain.empty()) {
    address.host = domain;
  } else if (address.host == "0.0.0.0" || address.host == "::") {
    address.host = outward_address();
  }
  return address.text();
}

void show(const relay::Info& info, const relay::Options& options) {
  std::vector<BoxLine> lines = {{"address", info.public_url}, {"listening", info.listen.text()}};
  if (info.plain_listen) lines.push_back({"plain HTTP", info.plain_listen->text()});
  if (info.admin_listen)
    lines.push_back({"health", "http://" + info.admin_listen->text() + "/healthz"});
  lines.push_back({"fingerprint", info.pin});
  lines.push_back({"state", options.state_dir});
  lines.push_back({"the relay sees", "http tunnels: requests and answers in the clear"});
  lines.push_back({" ", "tcp tunnels: the bytes"});
  std::string out = box(version_line() + " relay", lines);
  const std::string command =
      "leat http 11434 --relay " + agent_address(info, options.domain) + " --pin " + info.pin;
  if (info.first_token) {
    out +=
        "\nA token was made; it is shown this once. At home, for a service on port 11434:\n\n  "
        "LEAT_TOKEN=";
    out.append(info.first_token->reveal()).append(" ").append(command).append("\n\n");
  } else {
    out += "\nAt home, with a token in LEAT_TOKEN, for a service on port 11434:\n\n  " + command +
           "\n\n";
  }
  print(out);
}

}  // namespace

int run_relay(const RelayArguments& arguments) {
  const auto options = relay_options(arguments);
  if (!options) return report(options.error());
  net::Shard shard;
  Daemon daemon(shard);
  const auto relay = relay::Relay::start(shard, *options);
  if (!relay) return report(relay.error());
  show((*relay)->info(), *options);
  return daemon.run([&](Daemon::Done done) { (*relay)->drain(std::move(done)); });
}

}  // namespace leat::cli
