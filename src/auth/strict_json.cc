#include "auth/strict_json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace leat::auth {

std::optional<nlohmann::json> parse_object(std::string_view text) {
  using nlohmann::json;
  bool good = true;
  std::vector<std::set<std::string>> open;  // the names of each object that is not yet closed
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) {
      open.emplace_back();
    } else if (event == json::parse_event_t::object_end && !open.empty()) {
      open.pop_back();
    } else if (event == json::parse_event_t::key) {
      good = good && !open.empty() && open.back().insert(parsed.get<std::string>()).second;
    }
    good = good && depth <= kJsonDepth;
    return good;
  };
  json value = json::parse(text, watch, /*allow_exceptions=*/false);
  if (!good || !value.is_object()) return std::nullopt;
  return value;
}

}  // namespace leat::auth
