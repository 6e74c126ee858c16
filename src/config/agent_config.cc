#include "config/agent_config.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/file.h"
#include "base/names.h"
#include "config/keys.h"
#include "config/preset.h"
#include "config/proxy_variables.h"

namespace leat::config {
namespace {

// --- services ---

Result<void> set_kind(ServiceConfig& service, Kind kind) {
  if (service.kind && *service.kind != kind) {
    std::string detail("kind ");
    detail.append(name(kind)).append(" contradicts kind ").append(name(*service.kind));
    return fail(Code::CONFIG, std::move(detail));
  }
  service.kind = kind;
  return {};
}

Result<void> set_kind_text(ServiceConfig& service, std::string_view text) {
  return parse_kind(text).and_then([&](Kind kind) { return set_kind(service, kind); });
}

Result<void> set_target(ServiceConfig& service, std::string_view text) {
  auto target = parse_target(text);
  if (!target) return tl::unexpected(target.error());
  service.target = std::move(*target);
  return service.target->kind ? set_kind(service, *service.target->kind) : Result<void>();
}

Result<void> set_room(ServiceConfig& service, std::string_view text) {
  if (const auto done = set_kind(service, Kind::ws); !done) return done;
  return set<&ServiceConfig::id, parse_tunnel_id>(service, text);
}

Result<Preset> parse_preset(std::string_view text) {
  for (const Preset preset : {Preset::ollama, Preset::vllm, Preset::openai, Preset::y_websocket}) {
    if (text == name(preset)) return preset;
  }
  return expected("ollama, vllm, openai or y-websocket", text);
}

Result<HealthCheck> parse_health(std::string_view text) {
  if (text == "none") return HealthCheck{};
  if (text == "connect") return HealthCheck{"", true};
  const bool plain = text.starts_with('/') && std::ranges::all_of(text, [](char c) {
                       return c > ' ' && c < 0x7f && c != '#';
                     });
  if (plain) return HealthCheck{std::string(text)};
  return expected("none, connect or a path such as /health", text);
}

Result<Duration> parse_health_interval(std::string_view text) {
  const auto interval = parse_duration(text);
  if (!interval || *interval >= std::chrono::seconds(1)) return interval;
  return expected("1s or more", text);
}

Result<std::vector<std::string>> parse_cors(std::string_view text) {
  if (text == "*") return std::vector<std::string>{"*"};
  if (auto origins = parse_origins(text)) return origins;
  return expected("* or origins such as https://chat.example.com, with commas between", text);
}

Result<Duration> parse_sse_comments(std::string_view text) {
  if (text == "off") return Duration(0);
  const auto after = parse_duration(text);
  if (after && *after >= std::chrono::seconds(1)) return after;
  return expected("off, or a duration of 1s or more", text);
}

constexpr Key<ServiceConfig> kServiceKeys[] = {
    {"id", "id", set<&ServiceConfig::id, parse_tunnel_id>},
    {"room", "id", set_room},
    {"kind", "", set_kind_text},
    {"target", "", set_target},
    {"public", "", set<&ServiceConfig::is_public, parse_bool>},
    {"remote_port", "", set<&ServiceConfig::remote_port, parse_port>},
    {"host_header", "", set<&ServiceConfig::host_header, parse_host_policy>},
    {"origin", "", set<&ServiceConfig::origin, parse_origin_policy>},
    {"insecure", "", set<&ServiceConfig::insecure, parse_bool>},
    {"host", "", set<&ServiceConfig::host, parse_hosts>},
    {"first_byte_timeout", "", set<&ServiceConfig::first_byte_timeout, parse_idle>},
    {"idle_timeout", "", set<&ServiceConfig::idle_timeout, parse_idle>},
    {"proxy_protocol", "", set<&ServiceConfig::proxy_protocol, parse_proxy_version>},
    {"preset", "", set<&ServiceConfig::preset, parse_preset>},
    {"health", "", set<&ServiceConfig::health, parse_health>},
    {"health_interval", "", set<&ServiceConfig::health_interval, parse_health_interval>},
    {"cors", "", set<&ServiceConfig::cors, parse_cors>},
    {"sse_comments", "", set<&ServiceConfig::sse_comments, parse_sse_comments>},
    {"visitor_tokens", "", set<&ServiceConfig::visitor_tokens, parse_path>},
    {"visitor_users", "", set<&ServiceConfig::visitor_users, parse_path>},
    {"visitor_jwt_keys", "", set<&ServiceConfig::visitor_jwt_keys, parse_path>},
    {"visitor_jwt_audience", "", set<&ServiceConfig::visitor_jwt_audience, parse_path>},
    {"visitor_jwt_issuer", "", set<&ServiceConfig::visitor_jwt_issuer, parse_path>},
    {"allow", "", set<&ServiceConfig::allow, parse_allow>},
    {"sealed", "", set<&ServiceConfig::sealed, parse_bool>},
};

// --- the agent ---

// Two ways to trust a relay, and two to give a token: the one named last replaces the other.
template <auto field, auto other, auto parse>
Result<void> set_instead(AgentConfig& config, std::string_view text) {
  (config.*other).reset();
  return set<field, parse>(config, text);
}

Result<Secret> parse_token(std::string_view text) {
  if (text.empty()) return fail(Code::CONFIG, "expected a token, found nothing");
  return Secret(std::string(text));
}

Result<void> set_local_agent(AgentConfig& config, std::string_view text) {
  // Like GATEWAY_URL: scheme and host count.
  const std::size_t scheme = text.find("://");
  const std::size_t path = text.find_first_of("/?#", scheme == text.npos ? 0 : scheme + 3);
  ServiceConfig service;
  if (const auto done = set_target(service, text.substr(0, path)); !done) return done;
  config.services = {std::move(service)};
  return {};
}

Result<void> set_services(AgentConfig&, std::string_view text) {
  return expected("a list of services, which only a file can hold", text);
}

Result<std::vector<HostPort>> parse_listeners(std::string_view text) {
  std::vector<HostPort> out;
  for (;;) {
    const std::size_t comma = text.find(',');
    std::string_view one = text.substr(0, comma);
    one.remove_prefix(std::min(one.find_first_not_of(' '), one.size()));
    one = one.substr(0, one.find_last_not_of(' ') + 1);
    auto address = parse_listen(one);
    if (!address) return tl::unexpected(address.error());
    out.push_back(std::move(*address));
    if (comma == text.npos) return out;
    text.remove_prefix(comma + 1);
  }
}

constexpr auto set_token = set_instead<&AgentConfig::token, &AgentConfig::token_file, parse_token>;

constexpr Key<AgentConfig> kAgentKeys[] = {
    {"relay", "relay", set<&AgentConfig::relay, parse_relay>},
    {"relay_server", "relay", set<&AgentConfig::relay, parse_relay>},
    {"pin", "trust", set_instead<&AgentConfig::pin, &AgentConfig::ca, parse_pin>},
    {"ca", "trust", set_instead<&AgentConfig::ca, &AgentConfig::pin, parse_path>},
    {"token", "token", set_token},
    {"relay_token", "token", set_token},
    {"token_file", "token", set_instead<&AgentConfig::token_file, &AgentConfig::token, parse_path>},
    {"state_dir", "", set<&AgentConfig::state_dir, parse_path>},
    {"proxy", "", set<&AgentConfig::proxy, parse_proxy>},
    {"direct", "", set<&AgentConfig::direct, parse_listeners>},
    {"padding", "", set<&AgentConfig::padding, parse_bool>},
    {"metrics_listen", "", set<&AgentConfig::metrics_listen, parse_listen>},
    {"send_governor", "", set<&AgentConfig::send_governor, parse_on_off>},
    {"services", "services", set_services},
    {"local_agent_url", "services", set_local_agent},
    {"log_level", "", set<&AgentConfig::log_level, parse_level>},
    {"log_format", "", set<&AgentConfig::log_format, parse_format>},
};

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

Result<void> apply(AgentConfig& config, std::span<const Setting> settings, Code code) {
  return apply_keys<AgentConfig>(config, kAgentKeys, settings, code);
}

Result<void> apply(ServiceConfig& config, std::span<const Setting> settings, Code code) {
  return apply_keys<ServiceConfig>(config, kServiceKeys, settings, code);
}

Result<void> check(const ServiceConfig& service, const std::string& where, Code code) {
  const Kind kind = service.effective_kind();
  const bool http = kind == Kind::http || kind == Kind::ws;
  const auto wrong = [&](const char* why) { return fail(code, where + ": " + why); };
  if (!service.target) return wrong("target is missing");
  if (service.remote_port && kind != Kind::tcp) return wrong("remote_port is for kind tcp");
  if (service.host_header && !http) return wrong("host_header is for kinds http and ws");
  if (service.origin && !http) return wrong("origin is for kinds http and ws");
  if (!http && (service.visitor_tokens || service.visitor_users || service.visitor_jwt_keys)) {
    return wrong("credentials of visitors are for kinds http and ws; use allow");
  }
  if (service.sealed && kind != Kind::http && kind != Kind::tcp) {
    return wrong("sealed is for kinds http and tcp");
  }
  if (service.sealed && service.remote_port) return wrong("a sealed service has no remote_port");
  if (service.sealed && (service.visitor_tokens || service.visitor_users ||
                         service.visitor_jwt_keys || !service.allow.empty())) {
    return wrong("a sealed service is for paired devices: it takes no credentials and no allow");
  }
  if (service.sealed && (service.is_public || service.host)) {
    return wrong("a sealed service is for paired devices: it has no host and is not public");
  }
  if (service.host && kind != Kind::http && kind != Kind::tls) {
    return wrong("host is for kinds http and tls");
  }
  if ((service.first_byte_timeout || service.idle_timeout) && !http) {
    return wrong("first_byte_timeout and idle_timeout are for kind http");
  }
  if (service.preset && !http) return wrong("preset is for kinds http and ws");
  if (service.health && !service.health->path.empty() && !http) {
    return wrong("a health path is for kinds http and ws");
  }
  if (!service.cors.empty() && !http) return wrong("cors is for kinds http and ws");
  if (service.sse_comments && !http) return wrong("sse_comments is for kind http");
  if (service.insecure && !service.target->tls) return wrong("insecure is for https targets");
  return {};
}

std::vector<Setting> agent_environment() { return environment_of<AgentConfig>(kAgentKeys); }

Result<void> apply_gateway_variables(AgentConfig& config) {
  const std::string url = variable("GATEWAY_URL"), room = variable("ROOM_ID"),
                    port = variable("LOCAL_PORT");
  if (!config.relay && !url.empty()) {
    const Setting relay{"relay", url, "GATEWAY_URL"};
    if (const auto done = apply(config, std::span(&relay, 1), Code::USAGE); !done) return done;
  }
  if (!config.services.empty() || port.empty()) return {};
  std::vector<Setting> settings = {{"kind", "ws", ""}, {"target", port, "LOCAL_PORT"}};
  if (!room.empty()) settings.push_back({"id", room, "ROOM_ID"});
  ServiceConfig service;
  if (const auto done = apply(service, settings, Code::USAGE); !done) return done;
  config.services.push_back(std::move(service));
  return {};
}

Result<void> apply_proxy_variables(AgentConfig& config) {
  if (config.proxy || !config.relay) return {};
  const auto variables = ProxyVariables::read();
  if (!variables) return tl::unexpected(variables.error());
  config.proxy = variables->on_the_way_to(config.relay->address.host);
  return {};
}

bool is_agent_key(std::string_view name) {
  return find_key<AgentConfig>(kAgentKeys, name) != nullptr;
}

Result<Secret> read_token(const AgentConfig& config) {
  if (config.token) return *config.token;
  if (!config.token_file) return fail(Code::NO_TOKEN);
  const auto file = read_private_file(*config.token_file, Code::NO_TOKEN);
  if (!file) return file;
  constexpr std::string_view kBlank = " \t\r\n";
  std::string_view text = file->reveal();
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  text = text.substr(0, text.find_last_not_of(kBlank) + 1);
  if (text.empty()) return fail(Code::NO_TOKEN, *config.token_file + ": is empty");
  return Secret(std::string(text));
}

}  // namespace leat::config
