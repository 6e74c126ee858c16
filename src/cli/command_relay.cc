#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "cli/advice.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/qr.h"
#include "cli/relay_address.h"
#include "cli/relay_settings.h"
#include "cli/reload.h"
#include "cli/terminal.h"
#include "cli/version.h"
#include "net/socket.h"
#include "relay/relay.h"
#include "store/store.h"

namespace leat::cli {
namespace {

// Nobody holds a token that could be used: none is in force, or the one that was shown never came.
bool wants_token(const relay::Options& options) {
  const auto store = store::Store::open(options.state_dir + "/leat.db");
  const auto tokens = store ? (*store)->tokens() : tl::unexpected(store.error());
  return tokens && std::ranges::none_of(*tokens, [](const store::TokenInfo& token) {
           return !token.revoked && token.last_used;
         });
}

// What is no terminal is most likely a log, which others read: no credential is printed there.
bool seen() { return ::isatty(STDOUT_FILENO) == 1; }

void show(const relay::Info& info, const relay::Options& options) {
  std::vector<BoxLine> lines = {{"address", info.public_url}, {"listening", info.listen.text()}};
  if (info.plain_listen) lines.push_back({"plain HTTP", info.plain_listen->text()});
  if (info.admin_listen) {
    const std::string admin = "http://" + info.admin_listen->text();
    lines.push_back({"health", admin + "/healthz"});
    if (!options.admin_key.empty()) lines.push_back({"dashboard", admin + "/"});
    if (!is_loopback(*info.admin_listen)) {
      log::warn("the admin listener is open to the network, and its key travels in the clear",
                {{"admin_listen", info.admin_listen->text()}});
    }
  }
  lines.push_back({"fingerprint", info.pin});
  lines.push_back({"state", options.state_dir});
  const char* label = "the relay sees";
  for (const control::TunnelKind kind :
       {control::TunnelKind::http, control::TunnelKind::ws, control::TunnelKind::tcp,
        control::TunnelKind::tls, control::TunnelKind::sealed}) {
    lines.push_back({std::exchange(label, " "),
                     std::string(control::name(kind)) + " tunnels: " + control::relay_sees(kind)});
  }
  std::string out = box(version_line() + " relay", lines);
  if (options.domain.empty() && options.public_url.empty() && everywhere(info.listen)) {
    out +=
        "\nWithout --domain the address below is a guess, and URLs and certificate say localhost."
        "\nStart it with --domain YOUR-PUBLIC-NAME-OR-IP.\n";
  }
  const std::string command = "leat http 11434 " + agent_door(info, options).flags();
  if (info.first_token && seen()) {
    out +=
        "\nA token was made; it is shown this once. At home, for a service on port 11434:\n\n  "
        "LEAT_TOKEN=";
    out.append(info.first_token->reveal()).append(" ").append(command).append("\n\n");
  } else {
    out += "\nAt home, with a token in LEAT_TOKEN, for a service on port 11434:\n\n  " + command +
           "\n\n";
    if (info.first_token_kept) {
      out += "A token was made; it is in " + options.first_token_file +
             ", which only you may read. It is not needed here.\n\n";
    } else if (wants_token(options)) {
      out +=
          "No token that is in force has been used yet. This makes one:\n\n  leat token create "
          "--state-dir " +
          options.state_dir + " --name laptop\n\n";
    }
  }
  if (seen() && info.join_code) {
    out += invitation_text(agent_door(info, options), *info.join_code);
  } else {
    out +=
        "To let one machine join:\n\n  leat token invite --state-dir " + options.state_dir + "\n\n";
  }
  print(out);
}

// Held until the relay drains: relay.json tells of one relay, and the next may start while this one
// lets its visitors end.
Result<net::Fd> lock_state(const std::string& directory) {
  if (auto made = make_directory(directory, Code::STATE_DIR); !made) {
    return tl::unexpected(made.error());
  }
  const std::string path = directory + "/relay.lock";
  net::Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return fail(Code::STATE_DIR, path + ": " + std::generic_category().message(errno));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Code::STATE_DIR, directory + " is used by another relay, which runs");
  }
  return lock;
}

}  // namespace

int run_relay(const RelayArguments& arguments) {
  auto options = relay_options(arguments);
  if (!options) return report(options.error());
  if (!seen()) options->first_token_file = options->state_dir + "/first-token";
  net::Shard shard;
  Daemon daemon(shard);
  auto lock = lock_state(options->state_dir);
  if (!lock) return report(advise(lock.error(), options->state_dir));
  const auto relay = relay::Relay::start(shard, *options);
  if (!relay) return report(advise(relay.error(), options->state_dir));
  show((*relay)->info(), *options);
  (*relay)->on_drain_asked([&] { daemon.stop(kExitStopped); });
  const auto drain = [&](Daemon::Done done) {
    (*relay)->drain(std::move(done));  // which takes relay.json away
    lock->reset();
  };
  return daemon.run(drain, relay_reload(arguments, **relay));
}

}  // namespace leat::cli
