#include "base/plan.h"

#include <algorithm>

namespace leat {

Result<void> check_plan(const std::string& plan, const std::vector<std::string>& known) {
  if (plan.empty() || std::ranges::find(known, plan) != known.end()) return {};
  std::string list;
  for (const std::string& each : known) list.append(list.empty() ? "" : ", ").append(each);
  return fail(Code::USAGE, "the relay has no plan called " + plan +
                               (list.empty() ? "; it runs without plans" : ", but " + list));
}

}  // namespace leat
