#include "cli/sealed_state.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "agent/state_file.h"
#include "config/paths.h"

namespace leat::cli {

Result<std::string> sealed_state_dir(const std::optional<std::string>& named) {
  if (named) return *named;
  const std::string base = config::default_state_dir();
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(base, error)) {
    if (agent::read_sealed_agent(entry.path().string())) found.push_back(entry.path().string());
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) return fail(Code::NO_AGENT, "in " + base);
  std::string all;
  for (const std::string& each : found) all.append(all.empty() ? "" : ", ").append(each);
  return fail(Code::USAGE,
              "more than one agent has a sealed service: " + all + "; name one with --state-dir");
}

void warn_of_unknown(const std::string& state_dir, const std::vector<std::string>& services) {
  const auto known = agent::read_sealed_agent(state_dir);
  if (!known) return;
  for (const std::string& service : services) {
    if (std::ranges::find(known->services, service) != known->services.end()) continue;
    std::string all;
    for (const std::string& each : known->services)
      all.append(all.empty() ? "" : ", ").append(each);
    std::fprintf(stderr, "The agent has no sealed service '%s' now. It has: %s\n", service.c_str(),
                 all.empty() ? "none" : all.c_str());
  }
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(", ", at), text.size());
    if (end > at) out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::vector<std::string> split_limit(const std::string& text) {
  if (text.empty() || text == "all") return {};
  auto out = split_list(text);
  if (out.empty()) out.emplace_back();
  return out;
}

}  // namespace leat::cli
