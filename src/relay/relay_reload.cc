#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "relay/agent_session.h"
#include "relay/bare_agent.h"
#include "relay/own_tls.h"
#include "relay/relay_impl.h"

namespace leat::relay {

Result<void> RelayImpl::reload_keys() {
  auto keys = first().credentials.load();
  if (!keys) return tl::unexpected(keys.error());
  take_keys(*keys);
  return {};
}

void RelayImpl::take_keys(const std::shared_ptr<const auth::KeySet>& keys) {
  common_->everywhere([&](Context& context) { context.credentials.take(keys); });
  first().credentials.announce();
  common_->everywhere([&](Context& context) {
    // As with check_credential(), nothing is released here.
    context.sessions.for_each([](AgentSession& session) { session.check_keys(); });
    context.bare_agents.for_each([](BareAgent& agent) { agent.check_keys(); });
  });
}

// Owners of a plan that is not there any more have the default; or no limits, where that is none.
void RelayImpl::mention_lost_plans() {
  constexpr std::size_t kNamed = 10;
  const auto tokens = store().tokens();
  if (!tokens) return;
  const Plans plans = common_->accounting.plans();
  std::map<std::string, std::vector<std::string>> lost;
  for (const store::TokenInfo& token : *tokens) {
    if (token.revoked || check_plan(token.plan, plans.names())) continue;
    lost[token.plan].push_back(token.name);
  }
  for (const auto& [plan, owners] : lost) {
    std::string named;
    for (std::size_t i = 0; i < std::min(owners.size(), kNamed); ++i) {
      named.append(i == 0 ? "" : ", ").append(owners[i]);
    }
    if (owners.size() > kNamed) named += ", …";
    log::warn("a plan is gone", {{"plan", plan},
                                 {"owners", owners.size()},
                                 {"named", named},
                                 {"now", plans.fallback.empty() ? "no limits" : plans.fallback}});
  }
}

// Before the end, for the next relay writes its own while this one drains.
void RelayImpl::forget_state() {
  if (std::exchange(stated_, false)) ::unlink(state_file().c_str());
}

Result<void> RelayImpl::write_state(const std::string& pin, const Plans& plans) {
  if (draining_) return {};
  nlohmann::json state = {{"pid", ::getpid()},
                          {"listen", info_.listen.text()},
                          {"fingerprint", pin},
                          {"url", info_.public_url}};
  if (!options().domain.empty()) state["domain"] = options().domain;
  if (!options().public_url.empty()) state["public_url"] = options().public_url;
  if (info_.plain_listen) state["plain_listen"] = info_.plain_listen->text();
  if (info_.admin_listen) state["admin_listen"] = info_.admin_listen->text();
  if (auto names = plans.names(); !names.empty()) state["plans"] = names;
  stated_ = true;
  return write_file(state_file(), state.dump(2) + "\n", 0644, Code::STATE_DIR);
}

Result<std::vector<std::string>> RelayImpl::reload(const Options& options) {
  std::string certificate;
  Result<net::TlsContext> tls = load_tls(options, certificate);
  if (!tls) return tl::unexpected(tls.error());
  Result<std::string> pin = net::certificate_pin(certificate);
  if (!pin) return tl::unexpected(pin.error());
  const auto keys = first().credentials.load();
  if (!keys) return tl::unexpected(keys.error());
  const Result<void> written = write_state(*pin, options.plans);
  if (!written) return tl::unexpected(written.error());

  // What can fail is behind us.
  set_plans(options.plans);
  const auto its = std::make_shared<const net::TlsContext>(std::move(*tls));
  common_->everywhere([&](Context& context) {
    context.tls = its;
    context.pin = *pin;
  });
  if (info_.pin != *pin) {
    log::warn("certificate key changed", {{"fingerprint", *pin}, {"was", info_.pin}});
    info_.pin = *pin;
  }
  take_keys(*keys);

  std::vector<std::string> waits;
  const auto compare = [&](const char* name, const auto& now, const auto& then) {
    if (!(now == then)) waits.emplace_back(name);
  };
  const Options& then = this->options();
  compare("listen", options.listen, then.listen);
  compare("plain_listen", options.plain_listen, then.plain_listen);
  compare("admin_listen", options.admin_listen, then.admin_listen);
  compare("domain", options.domain, then.domain);
  compare("public_url", options.public_url, then.public_url);
  compare("tcp_ports", options.tcp_ports, then.tcp_ports);
  compare("memory", options.memory, then.memory);
  compare("threads", options.shards, then.shards);
  compare("open_rooms", options.open_rooms, then.open_rooms);
  compare("agent_origins", options.agent_origins, then.agent_origins);
  compare("wildcard", options.wildcard, then.wildcard);
  compare("trusted_proxies", options.trusted_proxies, then.trusted_proxies);
  compare("proxy_protocol", options.proxy_protocol, then.proxy_protocol);
  compare("jwt_keys", options.jwt_keys, then.jwt_keys);
  compare("jwt_audience", options.jwt_audience, then.jwt_audience);
  compare("jwt_issuer", options.jwt_issuer, then.jwt_issuer);
  compare("admin_key_file", options.admin_key, then.admin_key);
  compare("connection_days", options.connection_days, then.connection_days);
  compare("connection_rows", options.connection_rows, then.connection_rows);
  compare("connection_paths", options.connection_paths, then.connection_paths);
  compare("public_registration", options.public_registration, then.public_registration);
  compare("send_governor", options.send_governor, then.send_governor);
  compare("state_dir", options.state_dir, then.state_dir);
  return waits;
}

}  // namespace leat::relay
