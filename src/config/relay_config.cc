#include "config/relay_config.h"

#include "config/keys.h"

namespace leat::config {
namespace {

// Where strangers come in: a port alone, which elsewhere is this machine's, would say too little.
Result<HostPort> parse_door(std::string_view text) {
  if (!parse_port(text)) return parse_listen(text);
  const std::string port = ":" + std::string(text);
  return expected(port + " for every address, or 127.0.0.1" + port + " for this machine alone",
                  text);
}

constexpr Key<RelayConfig> kKeys[] = {
    {"listen", "", set<&RelayConfig::listen, parse_door>},
    {"plain_listen", "", set<&RelayConfig::plain_listen, parse_listen>},
    {"admin_listen", "", set<&RelayConfig::admin_listen, parse_listen>},
    {"domain", "", set<&RelayConfig::domain, parse_host>},
    {"public_url", "", set<&RelayConfig::public_url, parse_public_url>},
    {"tcp_ports", "", set<&RelayConfig::tcp_ports, parse_port_range>},
    {"open_rooms", "", set<&RelayConfig::open_rooms, parse_bool>},
    {"agent_origins", "", set<&RelayConfig::agent_origins, parse_origins>},
    {"memory", "", set<&RelayConfig::memory, parse_memory>},
    {"state_dir", "", set<&RelayConfig::state_dir, parse_path>},
    {"cert", "", set<&RelayConfig::cert, parse_path>},
    {"key", "", set<&RelayConfig::key, parse_path>},
    {"certs", "", set<&RelayConfig::certs, parse_certificates>},
    {"wildcard", "", set<&RelayConfig::wildcard, parse_bool>},
    {"trusted_proxies", "", set<&RelayConfig::trusted_proxies, parse_networks>},
    {"proxy_protocol", "", set<&RelayConfig::proxy_protocol, parse_networks>},
    {"jwt_keys", "", set<&RelayConfig::jwt_keys, parse_path>},
    {"jwt_audience", "", set<&RelayConfig::jwt_audience, parse_path>},
    {"jwt_issuer", "", set<&RelayConfig::jwt_issuer, parse_path>},
    {"plans", "", set<&RelayConfig::plans, parse_path>},
    {"admin_key_file", "", set<&RelayConfig::admin_key_file, parse_path>},
    {"connection_days", "", set<&RelayConfig::connection_days, parse_days>},
    {"connection_rows", "", set<&RelayConfig::connection_rows, parse_rows>},
    {"connection_paths", "", set<&RelayConfig::connection_paths, parse_bool>},
    {"public_registration", "", set<&RelayConfig::public_registration, parse_bool>},
    {"threads", "", set<&RelayConfig::threads, parse_threads>},
    {"send_governor", "", set<&RelayConfig::send_governor, parse_on_off>},
    {"log_level", "", set<&RelayConfig::log_level, parse_level>},
    {"log_format", "", set<&RelayConfig::log_format, parse_format>},
};

}  // namespace

Result<void> apply(RelayConfig& config, std::span<const Setting> settings, Code code) {
  return apply_keys<RelayConfig>(config, kKeys, settings, code);
}

std::vector<Setting> relay_environment() { return environment_of<RelayConfig>(kKeys); }

bool is_relay_key(std::string_view name) { return find_key<RelayConfig>(kKeys, name) != nullptr; }

}  // namespace leat::config
