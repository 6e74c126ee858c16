// What a relay may be told, by file, environment or flags. A field that nobody set is empty; the
// defaults are the caller's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/error.h"
#include "base/log.h"
#include "config/settings.h"
#include "config/values.h"

namespace leat::config {

struct RelayConfig {
  std::optional<HostPort> listen;        // port 0 allowed, as in the next two
  std::optional<HostPort> plain_listen;  // for visitors behind a proxy that ends TLS
  std::optional<HostPort> admin_listen;  // the relay's own health, never a tunnel
  std::optional<std::string> domain;
  std::optional<std::string> public_url;  // no slash at the end
  std::optional<PortRange> tcp_ports;
  bool open_rooms = false;
  std::vector<std::string> agent_origins;
  std::optional<std::uint64_t> memory;  // bytes
  std::optional<std::string> state_dir;
  std::optional<std::string> cert, key;               // PEM files, both or neither
  std::optional<std::vector<CertificatePair>> certs;  // others, chosen by the name asked for
  std::optional<bool> wildcard;                      // whether every name below `domain` leads here
  std::optional<std::vector<Cidr>> trusted_proxies;  // whose forwarding fields are believed
  std::optional<std::vector<Cidr>> proxy_protocol;   // whose connections begin with its header
  std::optional<std::string> jwt_keys;               // a file; see auth/keys.h
  std::optional<std::string> jwt_audience, jwt_issuer;
  std::optional<std::string> plans;                               // a file; see plans.h
  std::optional<std::string> admin_key_file;                      // the admin API's key
  std::optional<std::uint64_t> connection_days, connection_rows;  // of the log; 0: none
  bool connection_paths = true;
  bool public_registration = false;
  std::optional<std::uint64_t> threads;  // 1 to 64
  bool send_governor = true;
  std::optional<log::Level> log_level;
  std::optional<log::Format> log_format;
};

// Keys are the fields' names. `code` is for the errors: CONFIG of a file, USAGE otherwise.
Result<void> apply(RelayConfig& config, std::span<const Setting> settings, Code code);
// LEAT_LISTEN and so on.
std::vector<Setting> relay_environment();
bool is_relay_key(std::string_view name);

}  // namespace leat::config
