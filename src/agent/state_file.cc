#include "agent/state_file.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/calendar.h"
#include "base/crypto_util.h"
#include "base/file.h"

namespace leat::agent {
namespace {

using Json = nlohmann::ordered_json;

Json error_json(const std::optional<Error>& error) {
  if (!error) return nullptr;
  return {{"code", info(error->code).name}, {"detail", error->detail}};
}

Json ways_json(const std::optional<Status::Ways>& ways) {
  if (!ways) return nullptr;
  Json direct = Json::array();
  for (const HostPort& address : ways->direct) direct.push_back(address.text());
  return {{"relay", ways->relay},
          {"pin", base64url(as_bytes(ways->pin))},
          {"name", ways->name},
          {"direct", std::move(direct)}};
}

// Texts of a peer may hold anything.
std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string state_json(const Status& status, long pid) {
  Json tunnels = Json::array();
  for (const TunnelStatus& tunnel : status.tunnels) {
    tunnels.push_back({{"id", tunnel.id},
                       {"kind", control::name(tunnel.kind)},
                       {"urls", tunnel.urls},
                       {"remote_port", tunnel.remote_port},
                       {"target", tunnel.target},
                       {"error", error_json(tunnel.error)},
                       {"health", name(tunnel.health)},
                       {"health_error", error_json(tunnel.health_error)}});
  }
  return dump({{"state", name(status.state)},
               {"pid", pid},
               {"relay", status.relay},
               {"since", rfc3339(status.since)},
               {"tunnels", std::move(tunnels)},
               {"ways", ways_json(status.ways)},
               {"last_error", error_json(status.last_error)},
               {"notice", error_json(status.notice)},
               {"noticed", status.notice ? Json(rfc3339(status.noticed)) : Json()}});
}

Result<void> write_state(const std::string& state_dir, const Status& status) {
  return write_file(state_dir + "/agent.json", state_json(status, ::getpid()), 0600,
                    Code::STATE_DIR);
}

Result<SealedAgent> read_sealed_agent(const std::string& state_dir) {
  const std::string path = state_dir + "/agent.json";
  const auto text = read_file(path, Code::NO_AGENT);
  if (!text) return tl::unexpected(text.error());
  try {
    const Json file = Json::parse(*text);
    const Json& ways = file.at("ways");
    if (ways.is_null()) return fail(Code::NO_AGENT, state_dir + ": its agent has none");
    SealedAgent out;
    out.state = file.at("state");
    out.ways.relay = ways.at("relay");
    out.ways.pin = unbase64url(ways.at("pin").get<std::string>()).value_or("");
    out.ways.name = ways.at("name");
    for (const Json& address : ways.at("direct")) {
      if (auto parsed = parse_host_port(address.get<std::string>())) {
        out.ways.direct.push_back(std::move(*parsed));
      }
    }
    for (const Json& tunnel : file.at("tunnels")) {
      if (tunnel.at("kind") != "sealed") continue;
      out.services.push_back(tunnel.at("id"));
      if (out.tunnel.empty()) out.tunnel = out.services.back();
    }
    return out;
  } catch (const Json::exception& error) {
    return fail(Code::NO_AGENT, path + ": " + error.what());
  }
}

KeptIds::KeptIds(const std::string& state_dir) : path_(state_dir + "/tunnels.json") {}

KeptIds KeptIds::load(const std::string& state_dir) {
  KeptIds kept(state_dir);
  const auto text = read_file(kept.path_, Code::STATE_DIR);
  if (!text) return kept;
  try {
    const Json file = Json::parse(*text);
    for (const Json& tunnel : file.at("tunnels")) {
      kept.entries_.push_back({tunnel.at("relay"), tunnel.at("kind"), tunnel.at("target"),
                               tunnel.at("nth"), tunnel.at("id")});
    }
  } catch (const Json::exception&) {
    kept.entries_.clear();
  }
  return kept;
}

std::string KeptIds::find(std::string_view relay, const Service& service, std::size_t nth) const {
  for (const Entry& entry : entries_) {
    if (entry.relay == relay && entry.kind == control::name(service.kind) &&
        entry.target == service.target_text() && entry.nth == nth) {
      return entry.id;
    }
  }
  return {};
}

Result<void> KeptIds::keep(std::string_view relay, const Service& service, std::size_t nth,
                           std::string_view id) {
  if (find(relay, service, nth) == id) return {};
  const std::string kind = control::name(service.kind), target = service.target_text();
  std::erase_if(entries_, [&](const Entry& entry) {
    return entry.relay == relay && entry.kind == kind && entry.target == target && entry.nth == nth;
  });
  if (!id.empty()) entries_.push_back({std::string(relay), kind, target, nth, std::string(id)});
  return save();
}

Result<void> KeptIds::save() const {
  Json tunnels = Json::array();
  for (const Entry& entry : entries_) {
    tunnels.push_back({{"relay", entry.relay},
                       {"kind", entry.kind},
                       {"target", entry.target},
                       {"nth", entry.nth},
                       {"id", entry.id}});
  }
  return write_file(path_, dump({{"tunnels", std::move(tunnels)}}), 0600, Code::STATE_DIR);
}

}  // namespace leat::agent
