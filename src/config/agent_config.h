// What an agent may be told, by file, environment or flags. A field that nobody set is empty; the
// defaults are the caller's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"
#include "config/settings.h"
#include "config/values.h"

namespace leat::config {

enum class Preset : std::uint8_t { ollama, vllm, openai, y_websocket };

// How the agent looks after a service: a GET of `path`, a connection, or not at all.
struct HealthCheck {
  std::string path;
  bool connects = false;
  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

struct ServiceConfig {
  std::optional<std::string> id;  // none: the relay makes one up; key "room" is id of kind ws
  std::optional<Kind> kind;       // also set by a target's scheme, which must not contradict
  std::optional<Target> target;
  bool is_public = false;                          // key "public"
  std::optional<std::uint16_t> remote_port;        // tcp
  std::optional<std::string> host_header, origin;  // http and ws: see parse_host_policy
  bool sealed = false;                             // http and tcp: end to end, for paired devices
  bool insecure = false;                           // do not verify an https target's certificate
  std::optional<std::vector<std::string>> host;    // http, ws and tls: names of its own
  std::optional<Duration> first_byte_timeout, idle_timeout;  // http
  std::optional<int> proxy_protocol;                         // towards the target; 0: none
  std::optional<Preset> preset;                              // http and ws; see config/preset.h
  std::optional<HealthCheck> health;
  std::optional<Duration> health_interval;  // while the service is well
  std::vector<std::string> cors;            // http: origins, or one "*"
  std::optional<Duration> sse_comments;     // http: after so long without an answer; 0: off
  // Whom it takes: files of tokens, of users and passwords, of keys for JWTs; networks.
  std::optional<std::string> visitor_tokens, visitor_users, visitor_jwt_keys;
  std::optional<std::string> visitor_jwt_audience, visitor_jwt_issuer;
  std::vector<std::string> allow;

  Kind effective_kind() const { return kind.value_or(Kind::http); }
};

struct AgentConfig {
  std::optional<RelayAddress> relay;      // keys "relay" and "relay_server"
  std::optional<std::string> pin;         // 32 raw bytes; setting it unsets ca, and the reverse
  std::optional<std::string> ca;          // PEM file
  std::optional<Secret> token;            // keys "token" and "relay_token"; unsets token_file
  std::optional<std::string> token_file;  // unsets token
  std::optional<std::string> state_dir;
  std::optional<ProxyAddress> proxy;  // to the relay; "none" is no proxy whatever HTTPS_PROXY says
  std::vector<HostPort> direct;       // listen for sealed sessions; "ADDR, ADDR"
  std::optional<bool> send_governor;  // of what is on its way to the relay
  std::optional<bool> padding;        // of sealed records
  std::optional<HostPort> metrics_listen;
  std::vector<ServiceConfig> services;  // "local_agent_url" stands for a list of one
  std::optional<log::Level> log_level;
  std::optional<log::Format> log_format;
};

// Keys are the fields' names, but for services. `code` is for the errors: CONFIG of a file, USAGE
// otherwise.
Result<void> apply(AgentConfig& config, std::span<const Setting> settings, Code code);
Result<void> apply(ServiceConfig& config, std::span<const Setting> settings, Code code);
// What keys cannot say of each other while they are set: a target is there, and nothing that is for
// another kind. `where` goes before the error.
Result<void> check(const ServiceConfig& service, const std::string& where, Code code);

// LEAT_RELAY and so on.
std::vector<Setting> agent_environment();
// GATEWAY_URL, ROOM_ID and LOCAL_PORT, for agents that were set up for another gateway: relay,
// tunnel id and port of a WebSocket service. They fill in what is still missing, so apply them
// last.
Result<void> apply_gateway_variables(AgentConfig& config);
// HTTPS_PROXY (or https_proxy) and NO_PROXY, as curl understands them, if `proxy` was not set.
// Apply last too.
Result<void> apply_proxy_variables(AgentConfig& config);
bool is_agent_key(std::string_view name);

// The token, or what token_file holds without the space around it. LEAT_NO_TOKEN if there is
// neither, or if the file cannot be read or others may read it.
Result<Secret> read_token(const AgentConfig& config);

}  // namespace leat::config
