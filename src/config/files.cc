#include "config/files.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/file.h"
#include "config/document.h"

namespace leat::config {
namespace {

Result<RelayConfig> read_relay(const Document& document) {
  RelayConfig config;
  const auto settings = document.settings(document.root, "");
  if (!settings) return tl::unexpected(settings.error());
  if (const auto applied = apply(config, *settings, Code::CONFIG); !applied) {
    return tl::unexpected(applied.error());
  }
  return config;
}

Result<std::vector<ServiceConfig>> read_services(const Document& document, const Entry& entry) {
  const auto* items = std::get_if<std::vector<Mapping>>(&entry.value);
  if (items == nullptr) {
    return fail(Code::CONFIG, document.where(entry.line, entry.key) +
                                  ": expected a list of services, found a single value");
  }
  std::vector<ServiceConfig> services;
  std::set<std::string> ids;
  for (const Mapping& item : *items) {
    const std::string path = entry.key + "[" + std::to_string(services.size()) + "]";
    const auto settings = document.settings(item, path + ".");
    if (!settings) return tl::unexpected(settings.error());
    ServiceConfig& service = services.emplace_back();
    Result<void> done = apply(service, *settings, Code::CONFIG);
    const std::string where = document.where(item.line, path);
    if (done) done = check(service, where, Code::CONFIG);
    if (done && service.id && !ids.insert(*service.id).second) {
      done = fail(Code::CONFIG, where + ": another service has the id " + *service.id);
    }
    if (!done) return tl::unexpected(done.error());
  }
  return services;
}

Result<void> keep_private(const Document& document, const Setting& setting) {
  if (setting.key != "token" && setting.key != "relay_token") return {};
  const auto file = read_private_file(document.file, Code::CONFIG_FILE);
  if (file) return {};
  return fail(Code::CONFIG_FILE, setting.where + ": " + file.error().detail +
                                     " because of the token; or use token_file");
}

Result<AgentConfig> read_agent(const Document& document) {
  AgentConfig config;
  const auto settings = document.settings(document.root, "", "services");
  if (!settings) return tl::unexpected(settings.error());
  if (const auto applied = apply(config, *settings, Code::CONFIG); !applied) {
    return tl::unexpected(applied.error());
  }
  for (const Setting& setting : *settings) {
    if (const auto kept = keep_private(document, setting); !kept) {
      return tl::unexpected(kept.error());
    }
  }
  bool given = false;
  for (const Entry& entry : document.root.entries) {
    if (entry.key != "services") continue;
    const std::string where = document.where(entry.line, entry.key);
    if (std::exchange(given, true)) return fail(Code::CONFIG, where + ": is given twice");
    if (!config.services.empty()) {
      return fail(Code::CONFIG, where + ": cannot be given together with local_agent_url");
    }
    auto services = read_services(document, entry);
    if (!services) return tl::unexpected(services.error());
    config.services = std::move(*services);
  }
  return config;
}

}  // namespace

Result<RelayConfig> read_relay_file(const std::string& path) {
  return load_document(path).and_then(read_relay);
}

Result<AgentConfig> read_agent_file(const std::string& path) {
  return load_document(path).and_then(read_agent);
}

Result<std::variant<RelayConfig, AgentConfig>> read_any_file(const std::string& path) {
  using Any = std::variant<RelayConfig, AgentConfig>;
  const auto document = load_document(path);
  if (!document) return tl::unexpected(document.error());
  const bool agent = std::ranges::any_of(document->root.entries, [](const Entry& entry) {
    return is_agent_key(entry.key) && !is_relay_key(entry.key);
  });
  if (agent) return read_agent(*document).map([](AgentConfig c) { return Any(std::move(c)); });
  return read_relay(*document).map([](RelayConfig c) { return Any(std::move(c)); });
}

}  // namespace leat::config
