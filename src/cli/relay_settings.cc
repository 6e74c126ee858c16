#include "cli/relay_settings.h"

#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "cli/process.h"
#include "config/files.h"
#include "config/paths.h"
#include "config/plans.h"
#include "config/relay_config.h"
#include "net/socket.h"

namespace leat::cli {
namespace {

Result<config::RelayConfig> gather(const RelayArguments& arguments) {
  config::RelayConfig config;
  if (arguments.config) {
    auto read = config::read_relay_file(*arguments.config);
    if (!read) return read;
    config = std::move(*read);
  }
  for (const auto& source : {config::relay_environment(), arguments.settings}) {
    if (auto done = apply(config, source, Code::USAGE); !done) return tl::unexpected(done.error());
  }
  if (config.cert.has_value() != config.key.has_value()) {
    return fail(Code::USAGE, config.cert ? "--cert: needs --key" : "--key: needs --cert");
  }
  return config;
}

// Threat 28: an empty or short one starts nothing.
Result<Secret> admin_key(const std::string& path) {
  constexpr std::size_t kShortest = 16;
  const auto text = read_private_file(path, Code::KEY_FILE);
  if (!text) return text;
  std::string_view key = text->reveal();
  key = key.substr(0, key.find_last_not_of(" \t\r\n") + 1);
  if (key.size() < kShortest) {
    return fail(Code::KEY_FILE, path + ": expected an admin key of 16 characters or more");
  }
  return Secret(std::string(key));
}

// That this process may run on.
std::size_t cores() {
  constexpr std::size_t kMost = 64;
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::clamp<std::size_t>(static_cast<std::size_t>(CPU_COUNT(&set)), 1, kMost);
}

// [::] takes IPv4 too; a kernel without IPv6 has the other name for all addresses.
HostPort every_address(HostPort address) {
  if (address.host != "::") return address;
  const net::Fd probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe) address.host = "0.0.0.0";
  return address;
}

}  // namespace

Result<relay::Options> relay_options(const RelayArguments& arguments) {
  auto config = gather(arguments);
  if (!config) return tl::unexpected(config.error());
  log::configure(config->log_level.value_or(log::Level::info),
                 config->log_format.value_or(log::Format::text));
  relay::Options out;
  out.listen = every_address(config->listen.value_or(HostPort{"::", 443}));
  if (config->plain_listen) out.plain_listen = every_address(*config->plain_listen);
  if (config->admin_listen) out.admin_listen = every_address(*config->admin_listen);
  out.domain = config->domain.value_or("");
  out.public_url = config->public_url.value_or("");
  if (config->tcp_ports) out.tcp_ports = {config->tcp_ports->low, config->tcp_ports->high};
  out.open_rooms = config->open_rooms;
  out.agent_origins = config->agent_origins;
  if (config->memory) out.memory = *config->memory;
  if (const std::size_t descriptors = take_descriptors(); descriptors > 0) {
    out.descriptors = descriptors;
  }
  out.state_dir = config->state_dir.value_or(config::default_state_dir());
  out.certificate_file = config->cert.value_or("");
  out.key_file = config->key.value_or("");
  if (config->certs) {
    for (const auto& pair : *config->certs) {
      out.certificates.push_back({pair.certificate, pair.key});
    }
  }
  out.wildcard = config->wildcard;
  if (config->trusted_proxies) out.trusted_proxies = *config->trusted_proxies;
  if (config->proxy_protocol) out.proxy_protocol = *config->proxy_protocol;
  if (config->admin_key_file && !config->admin_listen) {
    return fail(Code::USAGE, "--admin-key-file: needs --admin-listen, say 127.0.0.1:9090");
  }
  if (config->public_registration && !config->plans) {
    return fail(Code::USAGE,
                "--public-registration: needs --plans: strangers get the default plan, and without "
                "plans no limits");
  }
  if (config->admin_key_file) {
    auto key = admin_key(*config->admin_key_file);
    if (!key) return tl::unexpected(key.error());
    out.admin_key = std::move(*key);
  }
  if (config->plans) {
    auto plans = config::read_plans(*config->plans);
    if (!plans) return tl::unexpected(plans.error());
    out.plans = std::move(*plans);
  }
  if (config->connection_days) {
    out.connection_days = std::chrono::days(static_cast<int>(*config->connection_days));
  }
  if (config->connection_rows) out.connection_rows = *config->connection_rows;
  out.connection_paths = config->connection_paths;
  out.public_registration = config->public_registration;
  out.shards = config->threads.value_or(cores());
  out.send_governor = config->send_governor;
  out.jwt_keys = config->jwt_keys.value_or("");
  out.jwt_audience = config->jwt_audience.value_or("");
  out.jwt_issuer = config->jwt_issuer.value_or("");
  return out;
}

}  // namespace leat::cli
