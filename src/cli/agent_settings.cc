#include "cli/agent_settings.h"

#include <unistd.h>

#include <array>
#include <utility>

#include "base/log.h"
#include "cli/joined.h"
#include "cli/relay_address.h"
#include "cli/visitor_policy.h"
#include "config/agent_config.h"
#include "config/files.h"
#include "config/paths.h"
#include "config/preset.h"

namespace leat::cli {
namespace {

Result<config::ServiceConfig> gather_service(const AgentArguments& arguments) {
  config::ServiceConfig service;
  for (const auto& source : {service_environment(arguments.kind), arguments.service}) {
    if (auto done = apply(service, source, Code::USAGE); !done) {
      return tl::unexpected(done.error());
    }
  }
  if (auto done = check(service, "TARGET", Code::USAGE); !done) return tl::unexpected(done.error());
  return service;
}

// `joined`: see use_joined().
Result<config::AgentConfig> gather(const AgentArguments& arguments, Services services,
                                   std::string& joined) {
  config::AgentConfig config;
  if (arguments.config) {
    auto read = config::read_agent_file(*arguments.config);
    if (!read) return read;
    config = std::move(*read);
  }
  for (const auto& source : {config::agent_environment(), arguments.settings}) {
    if (auto done = apply(config, source, Code::USAGE); !done) return tl::unexpected(done.error());
  }
  if (arguments.kind != AgentArguments::Kind::file) {
    auto service = gather_service(arguments);
    if (!service) return tl::unexpected(service.error());
    config.services = {std::move(*service)};
  }
  if (auto done = apply_gateway_variables(config); !done) return tl::unexpected(done.error());
  auto used = use_joined(config);
  if (!used) return tl::unexpected(used.error());
  joined = std::move(*used);
  if (auto done = apply_proxy_variables(config); !done) return tl::unexpected(done.error());
  if (!config.relay) {
    const bool bare = arguments.kind == AgentArguments::Kind::file && !arguments.config;
    return fail(Code::USAGE, std::string("--relay is missing: pass ") +
                                 (bare ? "it or a file with --config" : "it") +
                                 ", or run 'leat join URL' once");
  }
  if (config.services.empty() && services == Services::needed) {
    return fail(Code::CONFIG, "services: expected one at least");
  }
  return config;
}

agent::Carrier carrier(config::RelayAddress::Carrier carrier) {
  switch (carrier) {
    case config::RelayAddress::Carrier::tls:
      return agent::Carrier::tls;
    case config::RelayAddress::Carrier::websocket:
      return agent::Carrier::websocket;
    case config::RelayAddress::Carrier::plain_websocket:
      return agent::Carrier::plain_websocket;
  }
  return agent::Carrier::tls;
}

control::TunnelKind tunnel_kind(config::Kind kind) {
  switch (kind) {
    case config::Kind::http:
      return control::TunnelKind::http;
    case config::Kind::tcp:
      return control::TunnelKind::tcp;
    case config::Kind::ws:
      return control::TunnelKind::ws;
    case config::Kind::tls:
      return control::TunnelKind::tls;
  }
  return control::TunnelKind::http;
}

agent::HealthPolicy health_of(const config::ServiceConfig& config) {
  using Kind = agent::HealthPolicy::Kind;
  const Kind kind = !config.health->path.empty() ? Kind::path
                    : config.health->connects    ? Kind::connect
                                                 : Kind::none;
  return {kind, config.health->path, config.health_interval.value_or(Duration(0))};
}

agent::Service service_of(const config::ServiceConfig& written) {
  const config::ServiceConfig config = config::resolve(written);
  agent::Service out;
  out.id = config.id.value_or("");
  out.kind = tunnel_kind(config.effective_kind());
  out.target = config.target->address;
  out.target_tls = config.target->tls;
  out.insecure = config.insecure;
  out.health = health_of(config);
  out.cors = config.cors;
  out.sse_comments = config.sse_comments.value_or(Duration(0));
  out.is_public = config.is_public;
  out.sealed = config.sealed;
  out.remote_port = config.remote_port.value_or(0);
  if (config.host) out.hosts = *config.host;
  const auto ms = [](const std::optional<Duration>& time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.value_or(Duration(0)));
  };
  out.first_byte = ms(config.first_byte_timeout);
  out.idle = ms(config.idle_timeout);
  out.proxy_protocol = config.proxy_protocol.value_or(0);
  if (config.host_header) out.host_header = agent::FieldPolicy::parse(*config.host_header);
  if (config.origin) out.origin = agent::FieldPolicy::parse(*config.origin);
  return out;
}

// Two agents must not share a directory, for it holds their identity; so each single service has
// its own.
std::string own_state_dir(const AgentArguments& arguments,
                          const std::vector<agent::Service>& services) {
  if (arguments.kind == AgentArguments::Kind::file) return config::default_state_dir("agent");
  std::string leaf = services.front().target_text();
  for (char& c : leaf) {
    if (c == '/' || c == ':') c = '-';
  }
  return config::default_state_dir(leaf);
}

}  // namespace

std::string machine_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

Result<agent::Options> agent_options(const AgentArguments& arguments, Services services) {
  std::string joined;
  auto config = gather(arguments, services, joined);
  if (!config) return tl::unexpected(config.error());
  log::configure(config->log_level.value_or(log::Level::info),
                 config->log_format.value_or(log::Format::text));
  auto token = config::read_token(*config);
  if (!token) return tl::unexpected(token.error());
  agent::Options out;
  out.token = std::move(*token);
  out.joined_dir = std::move(joined);
  out.relay = config->relay->address;
  out.carrier = carrier(config->relay->carrier);
  if (out.carrier == agent::Carrier::plain_websocket && !is_loopback(out.relay)) {
    log::warn("relay.clear", {{"relay", out.relay.text()},
                              {"what", "ws:// sends the credential and all bytes in the clear"}});
  }
  if (config->proxy && !config->proxy->address.host.empty()) {
    out.proxy = net::Proxy{config->proxy->address, config->proxy->credentials};
  }
  out.trust.pin = config->pin;
  out.trust.ca_file = config->ca;
  out.host_name = machine_name();
  out.direct = config->direct;
  out.padding = config->padding.value_or(false);
  out.metrics_listen = config->metrics_listen;
  out.send_governor = config->send_governor.value_or(true);
  for (const config::ServiceConfig& service : config->services) {
    auto policy = visitor_policy(service);
    if (!policy) return tl::unexpected(policy.error());
    out.services.push_back(service_of(service));
    out.services.back().visitors = std::move(*policy);
  }
  out.state_dir = config->state_dir.value_or(own_state_dir(arguments, out.services));
  return out;
}

}  // namespace leat::cli
