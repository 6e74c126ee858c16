#include <memory>
#include <utility>

#include "agent/join.h"
#include "base/crypto_util.h"
#include "base/join_url.h"
#include "base/log.h"
#include "cli/advice.h"
#include "cli/agent_settings.h"
#include "cli/commands.h"
#include "cli/joined.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "config/agent_config.h"

namespace leat::cli {

int run_join(const JoinArguments& arguments) {
  log::configure(log::Level::warn, log::Format::text);
  auto url = parse_join_url(arguments.url);
  if (!url) return report(url.error());
  config::AgentConfig config;
  config.relay = config::RelayAddress{url->relay, {}};
  if (const auto done = config::apply_proxy_variables(config); !done) return report(done.error());

  agent::Options options;
  options.relay = url->relay;
  if (config.proxy && !config.proxy->address.host.empty()) {
    options.proxy = net::Proxy{config.proxy->address, config.proxy->credentials};
  }
  if (!url->pin.empty() && !arguments.ca) options.trust.pin = url->pin;
  options.trust.ca_file = arguments.ca;
  options.state_dir = arguments.state_dir.value_or(joined_dir());
  options.host_name = machine_name();
  const std::string directory = options.state_dir;

  net::Shard shard;
  Daemon daemon(shard);
  const auto joined = [&](Result<agent::JoinedRelay> result) {
    if (result) {
      if (!url->pin.empty()) result->pin = "sha256:" + hex(as_bytes(url->pin));
      if (const auto saved = agent::save_joined(directory, *result); !saved) {
        result = tl::unexpected(saved.error());
      }
    }
    if (!result) {
      Advice advice{result.error(), ""};
      if (url->pin.empty() && advice.error.code == Code::CERTIFICATE_REFUSED) {
        advice.next =
            "The URL has no pin at its end: copy all of it, or name an authority with --ca.";
      }
      return daemon.end(report(advice));
    }
    print("Joined " + result->relay + " as " + result->name + "; the credential is in " +
          directory + ".\nNow publish a service, for example:\n\n  leat http 11434\n\n");
    daemon.end(kExitStopped);
  };
  const auto join = agent::Join::start(shard, std::move(options), url->code, joined);
  if (!join) return report(join.error());
  return daemon.run([](Daemon::Done done) { done(); });
}

}  // namespace leat::cli
