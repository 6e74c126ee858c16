// `leat status` and `leat usage`: a relay looked at from where it runs.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/admin_client.h"
#include "cli/advice.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "config/paths.h"
#include "store/store.h"

namespace leat::cli {
namespace {

using Json = nlohmann::json;
using Row = std::vector<std::string>;

// Columns as wide as their widest cell; the first row names them.
std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths[i] + 2 - row[i].size(), ' ');
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

std::string size(double bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  for (; bytes >= 1000 && unit < 4; ++unit) bytes /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return text;
}

std::string milliseconds(const Json& value) {
  if (!value.is_number() || value.get<double>() <= 0) return "-";
  if (value.get<double>() < 0.1) return "< 0.1 ms";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", value.get<double>());
  return text;
}

// What agents call themselves must not reach the terminal as it is.
std::string plain(const Json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : std::string();
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text.substr(0, 40);
}

std::string agents_table(const Json& agents) {
  std::vector<Row> rows = {{"AGENT", "OWNER", "FROM", "ONLINE SINCE", "TUNNELS", "STREAMS",
                            "ROUND TRIP", "GOVERNOR", "ON THE WAY", "DELIVERY", "BEST ROUND TRIP"}};
  for (const Json& agent : agents) {
    const Json& governor = agent.at("governor");
    const Json& cap = governor.at("outstanding_cap");
    const auto rate = governor.at("delivery_rate").get<double>();
    rows.push_back({plain(agent.at("name")), plain(agent.at("owner")), plain(agent.at("address")),
                    plain(agent.at("since")), std::to_string(agent.at("tunnels").size()),
                    std::to_string(agent.at("streams").get<std::uint64_t>()),
                    milliseconds(agent.at("rtt_ms")), plain(governor.at("mode")),
                    cap.is_number() ? "at most " + size(cap.get<double>()) : "no bound",
                    rate > 0 ? size(rate) + "/s" : "-", milliseconds(governor.at("min_rtt_ms"))});
  }
  return table(rows);
}

Result<std::string> status_text(const AdminAccess& access, bool json) {
  const auto status = ask_admin(access, "/api/v1/status");
  if (!status) return status;
  const auto agents = ask_admin(access, "/api/v1/agents");
  if (!agents) return agents;
  try {
    Json about = Json::parse(*status);
    about["agent_list"] = Json::parse(*agents).at("agents");
    if (json) return about.dump(2) + "\n";
    std::string out = plain(about.at("url")) + "  " + plain(about.at("status")) + "  leat " +
                      plain(about.at("version")) + "  " +
                      std::to_string(about.at("http_visitors").get<std::uint64_t>() +
                                     about.at("tcp_visitors").get<std::uint64_t>()) +
                      " visitors\n\n";
    if (about["agent_list"].empty()) return out + "no agent is connected\n";
    return out + agents_table(about["agent_list"]);
  } catch (const Json::exception&) {
    return fail(Code::PROTOCOL, "the admin API of another version");
  }
}

std::string usage_table(const std::vector<store::UsageRow>& usage) {
  std::vector<Row> rows = {{"OWNER", "PERIOD (UTC)", "FROM VISITORS", "TO THEM", "REQUESTS"}};
  for (const store::UsageRow& row : usage) {
    rows.push_back({row.owner, row.period, size(static_cast<double>(row.usage.bytes_in)),
                    size(static_cast<double>(row.usage.bytes_out)),
                    std::to_string(row.usage.requests)});
  }
  return table(rows);
}

Result<std::vector<store::UsageRow>> usage_by_api(const AdminAccess& access) {
  const auto said = ask_admin(access, "/api/v1/usage");
  if (!said) return tl::unexpected(said.error());
  try {
    std::vector<store::UsageRow> rows;
    const Json parsed = Json::parse(*said);
    for (const Json& row : parsed.at("usage")) {
      rows.push_back(
          {plain(row.at("owner")),
           plain(row.at("period")),
           {row.at("bytes_in").get<std::uint64_t>(), row.at("bytes_out").get<std::uint64_t>(),
            row.at("requests").get<std::uint64_t>()}});
    }
    return rows;
  } catch (const Json::exception&) {
    return fail(Code::PROTOCOL, "the admin API of another version");
  }
}

Result<std::vector<store::UsageRow>> usage_rows(const UsageArguments& arguments,
                                                const std::string& directory) {
  Result<std::vector<store::UsageRow>> rows;
  if (arguments.admin_key_file) {
    const auto access = admin_access(directory, *arguments.admin_key_file);
    if (!access) return tl::unexpected(access.error());
    rows = usage_by_api(*access);
  } else {
    const std::string path = directory + "/leat.db";
    if (::access(path.c_str(), F_OK) != 0) {
      return fail(Code::STATE_DIR,
                  "no relay has run here: " + directory + "; --state-dir names the relay's");
    }
    const auto store = store::Store::open(path);
    if (!store) return tl::unexpected(store.error());
    rows = (*store)->usages({});
  }
  if (rows && !arguments.owner.empty()) {
    std::erase_if(*rows, [&](const store::UsageRow& row) { return row.owner != arguments.owner; });
  }
  return rows;
}

}  // namespace

int run_status(const StatusArguments& arguments) {
  const std::string directory = arguments.state_dir.value_or(config::default_state_dir());
  if (!arguments.admin_key_file) {
    return report(
        Error{Code::USAGE, "--admin-key-file is missing: the key of the relay's admin API"});
  }
  const auto access = admin_access(directory, *arguments.admin_key_file);
  if (!access) return report(advise(access.error(), directory));
  const auto text = status_text(*access, arguments.json);
  if (!text) return report(text.error());
  print(*text);
  return kExitStopped;
}

int run_usage(const UsageArguments& arguments) {
  const std::string directory = arguments.state_dir.value_or(config::default_state_dir());
  const auto rows = usage_rows(arguments, directory);
  if (!rows) return report(advise(rows.error(), directory));
  print(usage_table(*rows));
  return kExitStopped;
}

}  // namespace leat::cli
