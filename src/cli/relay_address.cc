#include "cli/relay_address.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/join_url.h"
#include "base/names.h"
#include "cli/qr.h"
#include "cli/terminal.h"
#include "config/values.h"

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

}  // namespace

bool is_loopback(const HostPort& address) {
  return address.host.starts_with("127.") || address.host == "::1" || address.host == "localhost";
}

bool everywhere(const HostPort& address) {
  return address.host == "0.0.0.0" || address.host == "::";
}

AgentDoor agent_door(const relay::Info& info, const relay::Options& options) {
  HostPort address = info.listen;
  const auto visitors = config::parse_url_address(options.public_url);
  // Only what is in front of the plain port can be reached from elsewhere.
  if (visitors && info.plain_listen && is_loopback(info.listen) &&
      options.public_url.starts_with("https://")) {
    return {*visitors, {}};
  }
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
  return {std::move(address), info.pin};
}

std::string AgentDoor::flags() const {
  return pin.empty() ? "--relay wss://" + address.text()
                     : "--relay " + address.text() + " --pin " + pin;
}

Result<RelayAtWork> relay_at_work(const std::string& state_dir) {
  const std::string path = state_dir + "/relay.json";
  const auto text = read_file(path, Code::STATE_DIR);
  if (!text) return fail(Code::STATE_DIR, text.error().detail + "; has the relay been started?");
  try {
    const auto json = nlohmann::json::parse(*text);
    relay::Info info;
    relay::Options options;
    const auto listen = parse_host_port(json.at("listen").get<std::string>());
    if (!listen) return fail(Code::STATE_DIR, path + ": is damaged");
    info.listen = *listen;
    info.pin = json.at("fingerprint");
    options.public_url = json.value("public_url", "");
    options.domain = json.value("domain", "");
    if (json.contains("plain_listen")) info.plain_listen = HostPort{};
    RelayAtWork relay{
        agent_door(info, options), json.value("plans", std::vector<std::string>()), {}};
    const auto admin = parse_host_port(json.value("admin_listen", ""));
    if (admin) relay.admin_listen = *admin;
    return relay;
  } catch (const nlohmann::json::exception&) {
    return fail(Code::STATE_DIR, path + ": is damaged");
  }
}

std::string invitation_text(const AgentDoor& door, const Secret& code) {
  const auto pin = parse_pin(door.pin);
  const Secret url = JoinUrl{door.address, code, pin ? *pin : std::string()}.text();
  std::string out =
      "To let one machine join, once and within 15 minutes, run there:\n\n  leat join ";
  out.append(url.reveal()).append("\n\n");
  if (colours()) out.append(qr_code(url.reveal())).append("\n");
  return out;
}

}  // namespace leat::cli
