#include "cli/reload.h"

#include <utility>

#include "base/log.h"
#include "cli/agent_settings.h"
#include "cli/relay_settings.h"

namespace leat::cli {
namespace {

bool same(const std::optional<net::Proxy>& a, const std::optional<net::Proxy>& b) {
  if (a.has_value() != b.has_value()) return false;
  return !a || (a->address == b->address && a->credentials == b->credentials);
}

// What a file that is refused in the end has set of the log meanwhile is taken back.
struct LogAsItWas {
  log::Level level = log::level();
  log::Format format = log::format();
};

std::string kept(const Error& why, const LogAsItWas& was) {
  log::configure(was.level, was.format);
  log::write(log::Level::error, "config.kept", why);
  return "the old configuration stays: " + why.text();
}

void mention(const std::vector<std::string>& waits) {
  for (const std::string& key : waits) log::warn("config.needs_restart", {{"key", key}});
}

}  // namespace

std::vector<std::string> needs_restart(const agent::Options& started, const agent::Options& now) {
  std::vector<std::string> keys;
  const auto compare = [&](const char* key, bool same) {
    if (!same) keys.emplace_back(key);
  };
  compare("relay", started.relay == now.relay && started.carrier == now.carrier);
  compare("proxy", same(started.proxy, now.proxy));
  compare("pin", started.trust.pin == now.trust.pin);
  compare("ca", started.trust.ca_file == now.trust.ca_file);
  compare("token", started.token == now.token);
  compare("state_dir", started.state_dir == now.state_dir);
  compare("direct", started.direct == now.direct);
  compare("padding", started.padding == now.padding);
  compare("metrics_listen", started.metrics_listen == now.metrics_listen);
  compare("send_governor", started.send_governor == now.send_governor);
  return keys;
}

std::function<std::string()> agent_reload(const AgentArguments& arguments, agent::Agent& running,
                                          const agent::Options& started) {
  return [&arguments, &running, started]() -> std::string {
    const LogAsItWas was;
    auto options = agent_options(arguments);
    if (!options) return kept(options.error(), was);
    const auto changes = running.reload(std::move(options->services));
    if (!changes) return kept(changes.error(), was);
    log::info(
        "config.reloaded",
        {{"added", changes->added}, {"removed", changes->removed}, {"changed", changes->changed}});
    const std::vector<std::string> waits = needs_restart(started, *options);
    mention(waits);
    std::string line = "configuration reloaded: " + std::to_string(changes->added) + " added, " +
                       std::to_string(changes->removed) + " removed, " +
                       std::to_string(changes->changed) + " changed";
    for (const std::string& key : waits) line.append("; a new start is needed for ").append(key);
    return line;
  };
}

std::function<void()> relay_reload(const RelayArguments& arguments, relay::Relay& running) {
  return [&arguments, &running] {
    const LogAsItWas was;
    const auto options = relay_options(arguments);
    if (!options) {
      kept(options.error(), was);
      return;
    }
    const auto waits = running.reload(*options);
    if (!waits) {
      kept(waits.error(), was);
      return;
    }
    log::info("config.reloaded", {{"certificate", running.info().pin}});
    mention(*waits);
  };
}

}  // namespace leat::cli
