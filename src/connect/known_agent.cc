#include "connect/known_agent.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/file.h"
#include "proto/sealed.pb.h"

namespace leat::connect {
namespace {

constexpr std::string_view kEnding = ".agent";

std::string path_of(const std::string& directory, std::string_view file) {
  return std::string(directory).append("/").append(file).append(kEnding);
}

std::string file_name(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 64)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_';
    out += plain ? c : '-';
  }
  return out.empty() ? "agent" : out;
}

std::vector<std::string> files(const std::string& directory) {
  std::vector<std::string> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> list(::opendir(directory.c_str()), ::closedir);
  while (const dirent* entry = list ? ::readdir(list.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name.size() > kEnding.size() && name.ends_with(kEnding)) {
      out.emplace_back(name.substr(0, name.size() - kEnding.size()));
    }
  }
  std::ranges::sort(out);
  return out;
}

Result<KnownAgent> load(const std::string& directory, const std::string& file) {
  const std::string path = path_of(directory, file);
  const auto text = read_private_file(path, Code::KEY_FILE);
  if (!text) return tl::unexpected(text.error());
  proto::KnownAgent message;
  Agent agent;
  if (!message.ParseFromString(std::string(text->reveal())) ||
      message.agent().size() != agent.key.bytes.size() ||
      message.secret().size() != crypto::kKeySize) {
    return fail(Code::KEY_FILE, path + ": damaged");
  }
  std::copy(message.agent().begin(), message.agent().end(), agent.key.bytes.begin());
  agent.tunnel = message.tunnel();
  agent.relays.assign(message.relays().begin(), message.relays().end());
  agent.direct.assign(message.direct().begin(), message.direct().end());
  agent.name = message.name();
  agent.pin = message.pin();
  crypto::Key secret;
  std::copy(message.secret().begin(), message.secret().end(), secret.fill().begin());
  crypto::wipe(
      {reinterpret_cast<std::uint8_t*>(message.mutable_secret()->data()), message.secret().size()});
  return KnownAgent{file, std::move(agent), crypto::KeyPair(std::move(secret)), message.pairing(),
                    message.paired()};
}

// The agent that a new link may have given another key.
bool same_place(const Agent& a, const Agent& b) {
  const auto common = [](const auto& some, const auto& others) {
    return std::ranges::find_first_of(some, others) != some.end();
  };
  return a.tunnel == b.tunnel && (common(a.relays, b.relays) || common(a.direct, b.direct));
}

}  // namespace

Result<KnownAgent> KnownAgent::find(const std::string& directory, std::string_view name) {
  const std::vector<std::string> all = files(directory);
  std::optional<KnownAgent> begun;
  for (const std::string& file : all) {
    auto known = load(directory, file);
    if (file == name) return known;
    if (!known || (known->agent.tunnel != name && known->agent.name != name)) continue;
    if (known->paired) return known;
    begun = std::move(*known);
  }
  if (begun) return std::move(*begun);
  std::string names;
  for (const std::string& file : all) names.append(names.empty() ? "" : ", ").append(file);
  return fail(Code::UNKNOWN_DEVICE, std::string(name) +
                                        " is none of the agents this machine is paired with: " +
                                        (names.empty() ? "there are none" : names));
}

Result<KnownAgent> KnownAgent::of_link(const std::string& directory, const Link& link) {
  if (auto made = make_directory(directory, Code::STATE_DIR); !made) {
    return tl::unexpected(made.error());
  }
  const std::vector<std::string> all = files(directory);
  std::string file;
  for (const std::string& each : all) {
    auto known = load(directory, each);
    if (!known || known->agent.key != link.agent.key) continue;
    if (known->pairing == link.pairing) return known;
    if (!known->paired) file = each;
  }
  const std::string wanted =
      file_name(link.agent.name.empty() ? link.agent.tunnel : link.agent.name);
  for (int n = 1; file.empty(); ++n) {
    const std::string tried = n == 1 ? wanted : wanted + "-" + std::to_string(n);
    if (std::ranges::find(all, tried) == all.end()) file = tried;
  }
  KnownAgent made{std::move(file), link.agent, crypto::KeyPair::generate(), link.pairing, false};
  if (auto saved = made.save(directory); !saved) return tl::unexpected(saved.error());
  return made;
}

Result<void> KnownAgent::come_through(const std::string& directory) {
  paired = true;
  if (auto saved = save(directory); !saved) return saved;
  std::vector<std::string> others = files(directory);
  std::erase(others, file);
  std::ranges::reverse(others);  // so that of several names the first remains
  for (const std::string& other : others) {
    const auto known = load(directory, other);
    if (!known || (known->agent.key != agent.key && !same_place(known->agent, agent))) continue;
    if (::rename(path_of(directory, file).c_str(), path_of(directory, other).c_str()) == 0) {
      file = other;
    }
  }
  return {};
}

Result<void> KnownAgent::save(const std::string& directory) const {
  proto::KnownAgent message;
  message.set_agent(std::string(as_chars(agent.key.bytes)));
  message.set_secret(std::string(as_chars(own.secret().reveal())));
  message.set_pairing(pairing);
  message.set_paired(paired);
  message.set_tunnel(agent.tunnel);
  for (const std::string& relay : agent.relays) message.add_relays(relay);
  for (const std::string& address : agent.direct) message.add_direct(address);
  message.set_name(agent.name);
  message.set_pin(agent.pin);
  const Secret text(message.SerializeAsString());
  return write_file(path_of(directory, file), text.reveal(), 0600, Code::KEY_FILE);
}

}  // namespace leat::connect
