#include "connect/known_agent.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/secret.h"
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

void wipe(std::string& secret) {
  crypto::wipe({reinterpret_cast<std::uint8_t*>(secret.data()), secret.size()});
}

Result<KnownAgent> load(const std::string& directory, const std::string& file) {
  const std::string path = path_of(directory, file);
  const auto text = read_private_file(path, Code::KEY_FILE);
  if (!text) return tl::unexpected(text.error());
  proto::KnownAgent message;
  Agent agent;
  const bool parsed =
      message.ParseFromArray(text->reveal().data(), static_cast<int>(text->reveal().size()));
  const Secret own(std::move(*message.mutable_secret()));
  if (!parsed || message.agent().size() != agent.key.bytes.size() ||
      own.reveal().size() != crypto::kKeySize) {
    return fail(Code::KEY_FILE, path + ": damaged");
  }
  std::copy(message.agent().begin(), message.agent().end(), agent.key.bytes.begin());
  agent.tunnel = message.tunnel();
  agent.relays.assign(message.relays().begin(), message.relays().end());
  agent.direct.assign(message.direct().begin(), message.direct().end());
  agent.name = message.name();
  agent.pin = message.pin();
  crypto::Key secret;
  std::ranges::copy(own.reveal(), secret.fill().begin());
  return KnownAgent{file, std::move(agent), crypto::KeyPair(std::move(secret)), message.pairing(),
                    message.paired()};
}

// Whether an agent of this tunnel that was reached by `way` ("relay HOST:PORT", "direct HOST:PORT")
// is where `known` was. What its link says besides is its owner's word, and proves nothing.
bool same_place(const Agent& known, std::string_view tunnel, std::string_view way) {
  if (known.tunnel != tunnel) return false;
  const std::string_view address = way.substr(way.find(' ') + 1);
  const auto leads_there = [&](std::string_view relay) {
    return relay.ends_with(address) &&
           relay.substr(0, relay.size() - address.size()).ends_with("//");
  };
  return way.starts_with("relay ") ? std::ranges::any_of(known.relays, leads_there)
                                   : std::ranges::find(known.direct, address) != known.direct.end();
}

bool is_called(const KnownAgent& known, std::string_view name) {
  return known.file == name || known.agent.tunnel == name || known.agent.name == name;
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

}  // namespace

Result<KnownAgent> KnownAgent::find(const std::string& directory, std::string_view name) {
  const std::vector<std::string> all = files(directory);
  if (std::ranges::find(all, name) != all.end()) return load(directory, std::string(name));
  std::vector<KnownAgent> found;
  for (const std::string& file : all) {
    auto known = load(directory, file);
    if (known && is_called(*known, name)) found.push_back(std::move(*known));
  }
  // What was begun only counts where nothing has come through.
  if (std::ranges::any_of(found, &KnownAgent::paired)) {
    std::erase_if(found, [](const KnownAgent& known) { return !known.paired; });
  }
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    return fail(Code::USAGE,
                "this machine is not paired with an agent called " + std::string(name) +
                    (all.empty() ? ", nor with any other" : ", but with " + listed(all)) +
                    "; its owner makes a link with 'leat pair'");
  }
  std::vector<std::string> theirs;
  for (const KnownAgent& known : found) theirs.push_back(known.file);
  return fail(Code::USAGE,
              std::string(name) + " may be one of several agents; say which: " + listed(theirs));
}

Result<KnownAgent> KnownAgent::of_link(const std::string& directory, const Link& link) {
  if (auto made = make_directory(directory, Code::STATE_DIR); !made) {
    return tl::unexpected(made.error());
  }
  const std::vector<std::string> all = files(directory);
  std::string file;
  std::vector<KnownAgent> others;
  for (const std::string& each : all) {
    auto known = load(directory, each);
    if (!known) continue;
    if (known->agent.key != link.agent.key) {
      others.push_back(std::move(*known));
      continue;
    }
    if (known->pairing == link.pairing) return known;
    if (!known->paired) file = each;
  }
  const std::string wanted =
      file_name(link.agent.name.empty() ? link.agent.tunnel : link.agent.name);
  for (int n = 1; file.empty(); ++n) {
    const std::string tried = n == 1 ? wanted : wanted + "-" + std::to_string(n);
    // A name in a link is its maker's choice: it does not become what another agent goes by.
    const auto is_tried = [&](const KnownAgent& other) { return is_called(other, tried); };
    if (std::ranges::find(all, tried) == all.end() && std::ranges::none_of(others, is_tried)) {
      file = tried;
    }
  }
  KnownAgent made{std::move(file), link.agent, crypto::KeyPair::generate(), link.pairing, false};
  if (auto saved = made.save(directory); !saved) return tl::unexpected(saved.error());
  return made;
}

Result<void> KnownAgent::come_through(const std::string& directory, std::string_view way) {
  paired = true;
  if (auto saved = save(directory); !saved) return saved;
  std::vector<std::string> others = files(directory);
  std::erase(others, file);
  std::ranges::reverse(others);  // so that of several names the first remains
  for (const std::string& other : others) {
    const auto known = load(directory, other);
    if (!known) continue;
    if (known->agent.key != agent.key && !same_place(known->agent, agent.tunnel, way)) continue;
    if (::rename(path_of(directory, file).c_str(), path_of(directory, other).c_str()) == 0) {
      file = other;
    }
  }
  return {};
}

Result<void> KnownAgent::save(const std::string& directory) const {
  proto::KnownAgent message;
  message.set_agent(std::string(as_chars(agent.key.bytes)));
  const auto secret = own.secret().reveal();
  message.mutable_secret()->assign(as_chars(secret));  // no copy beside it
  message.set_pairing(pairing);
  message.set_paired(paired);
  message.set_tunnel(agent.tunnel);
  for (const std::string& relay : agent.relays) message.add_relays(relay);
  for (const std::string& address : agent.direct) message.add_direct(address);
  message.set_name(agent.name);
  message.set_pin(agent.pin);
  const Secret text(message.SerializeAsString());
  wipe(*message.mutable_secret());
  return write_file(path_of(directory, file), text.reveal(), 0600, Code::KEY_FILE);
}

}  // namespace leat::connect
