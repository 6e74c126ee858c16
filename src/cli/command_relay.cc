#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/log.h"
#include "cli/advice.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/relay_settings.h"
#include "cli/reload.h"
#include "cli/terminal.h"
#include "cli/version.h"
#include "config/values.h"
#include "net/socket.h"
#include "relay/relay.h"
#include "store/store.h"

namespace leat::cli {
namespace {

bool everywhere(const HostPort& address) {
  return address.host == "0.0.0.0" || address.host == "::";
}

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

// What an agent is to be given as --relay. Where a proxy of this machine's ends TLS, the public URL
// is the proxy's, and its port not the one with the pinned key.
HostPort agent_address(const relay::Info& info, const relay::Options& options) {
  HostPort address = info.listen;
  const auto visitors = config::parse_url_address(options.public_url);
  if (!options.domain.empty()) {
    address.host = options.domain;
  } else if (visitors) {
    address.host = visitors->host;
  } else if (everywhere(address)) {
    address.host = outward_address();
  }
  if (visitors && visitors->host == address.host && !info.plain_listen) {
    address.port = visitors->port;
  }
  return address;
}

// Nobody holds a token that could be used: none is in force, or the one that was shown never came.
bool wants_token(const relay::Options& options) {
  const auto store = store::Store::open(options.state_dir + "/leat.db");
  const auto tokens = store ? (*store)->tokens() : tl::unexpected(store.error());
  return tokens && std::ranges::none_of(*tokens, [](const store::TokenInfo& token) {
           return !token.revoked && token.last_used;
         });
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
  lines.push_back({" ", "tls tunnels: encrypted bytes, and the name that is asked for"});
  std::string out = box(version_line() + " relay", lines);
  if (options.domain.empty() && options.public_url.empty() && everywhere(info.listen)) {
    out +=
        "\nWithout --domain the address below is a guess, and URLs and certificate say localhost."
        "\nStart it with --domain YOUR-PUBLIC-NAME-OR-IP.\n";
  }
  const std::string command =
      "leat http 11434 --relay " + agent_address(info, options).text() + " --pin " + info.pin;
  if (info.first_token) {
    out +=
        "\nA token was made; it is shown this once. At home, for a service on port 11434:\n\n  "
        "LEAT_TOKEN=";
    out.append(info.first_token->reveal()).append(" ").append(command).append("\n\n");
  } else {
    out += "\nAt home, with a token in LEAT_TOKEN, for a service on port 11434:\n\n  " + command +
           "\n\n";
    if (wants_token(options)) {
      out +=
          "No token that is in force has been used yet. This makes one:\n\n  leat token create "
          "--state-dir " +
          options.state_dir + " --name laptop\n\n";
    }
  }
  print(out);
}

// Held while the relay runs. A second one may follow while the first drains, so this is a warning.
net::Fd lock_state(const std::string& directory) {
  net::Fd lock(::open((directory + "/relay.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    log::warn("state.shared", {{"state_dir", directory}, {"error", "another relay uses it"}});
  }
  return lock;
}

}  // namespace

int run_relay(const RelayArguments& arguments) {
  const auto options = relay_options(arguments);
  if (!options) return report(options.error());
  net::Shard shard;
  Daemon daemon(shard);
  const auto relay = relay::Relay::start(shard, *options);
  if (!relay) return report(advise(relay.error(), options->state_dir));
  const net::Fd lock = lock_state(options->state_dir);
  show((*relay)->info(), *options);
  return daemon.run([&](Daemon::Done done) { (*relay)->drain(std::move(done)); },
                    relay_reload(arguments, **relay));
}

}  // namespace leat::cli
