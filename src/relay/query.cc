#include "relay/query.h"

#include <algorithm>
#include <cstddef>

namespace leat::relay {

std::optional<std::string> take_parameter(std::string& target, std::string_view name) {
  const std::size_t mark = target.find('?');
  if (mark == target.npos) return std::nullopt;
  std::optional<std::string> value;
  int count = 0;
  std::string kept;
  for (std::size_t at = mark + 1; at <= target.size();) {
    const std::size_t end = std::min(target.find('&', at), target.size());
    const std::string_view parameter = std::string_view(target).substr(at, end - at);
    at = end + 1;
    if (parameter.starts_with(name) && parameter.substr(name.size()).starts_with('=')) {
      value = parameter.substr(name.size() + 1);
      ++count;
    } else if (!parameter.empty()) {
      kept.append(kept.empty() ? "?" : "&").append(parameter);
    }
  }
  if (count == 0) return std::nullopt;
  target.replace(mark, target.npos, kept);
  return count == 1 ? value : std::nullopt;
}

}  // namespace leat::relay
