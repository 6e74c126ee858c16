#include "config/plans.h"

#include <algorithm>
#include <charconv>

#include "config/document.h"
#include "config/keys.h"
#include "config/values.h"

namespace leat::config {
namespace {

Result<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return expected("a whole number", text);
  }
  return value;
}

// "unlimited" says what leaving the key out says.
template <auto field, auto parse>
Result<void> set_limit(Plan& plan, std::string_view text) {
  if (text == "unlimited") {
    (plan.*field).reset();
    return {};
  }
  return set<field, parse>(plan, text);
}

constexpr Key<Plan> kPlanKeys[] = {
    {"name", "", set<&Plan::name, parse_host>},
    {"tunnels", "", set_limit<&Plan::tunnels, parse_count>},
    {"streams", "", set_limit<&Plan::streams, parse_count>},
    {"requests_per_minute", "", set_limit<&Plan::requests_per_minute, parse_count>},
    {"bytes_per_second", "", set_limit<&Plan::bytes_per_second, parse_size>},
    {"bytes_per_day", "", set_limit<&Plan::bytes_per_day, parse_size>},
    {"bytes_per_month", "", set_limit<&Plan::bytes_per_month, parse_size>},
    {"body", "", set_limit<&Plan::body, parse_size>},
    {"visitor_messages_per_minute", "", set_limit<&Plan::visitor_messages_per_minute, parse_count>},
    {"agent_messages_per_minute", "", set_limit<&Plan::agent_messages_per_minute, parse_count>},
    {"message", "", set_limit<&Plan::message, parse_size>},
};

constexpr Key<Plans> kKeys[] = {{"default", "", set<&Plans::fallback, parse_host>},
                                {"operator", "", set<&Plans::operators, parse_host>}};

Result<Plan> read_plan(const Document& document, const Mapping& item, const std::string& path) {
  Plan plan;
  const auto settings = document.settings(item, path + ".");
  if (!settings) return tl::unexpected(settings.error());
  const auto done = apply_keys<Plan>(plan, kPlanKeys, *settings, Code::CONFIG);
  if (!done) return tl::unexpected(done.error());
  const std::string where = document.where(item.line, path);
  if (plan.name.empty()) return fail(Code::CONFIG, where + ": name is missing");
  for (const Plan::Limit& rate :
       {plan.bytes_per_second, plan.requests_per_minute, plan.visitor_messages_per_minute,
        plan.agent_messages_per_minute}) {
    if (rate == 0) return fail(Code::CONFIG, where + ": a rate of 0 would let nothing through");
  }
  return plan;
}

}  // namespace

Result<Plans> read_plans(const std::string& path) {
  const auto document = load_document(path);
  if (!document) return tl::unexpected(document.error());
  Plans out;
  const auto settings = document->settings(document->root, "", "plans");
  if (!settings) return tl::unexpected(settings.error());
  const auto done = apply_keys<Plans>(out, kKeys, *settings, Code::CONFIG);
  if (!done) return tl::unexpected(done.error());
  for (const Entry& entry : document->root.entries) {
    if (entry.key != "plans") continue;
    const auto* const items = std::get_if<std::vector<Mapping>>(&entry.value);
    if (items == nullptr) {
      return fail(Code::CONFIG, document->where(entry.line, "plans") + ": expected a list");
    }
    for (const Mapping& item : *items) {
      const std::string where = "plans[" + std::to_string(out.all.size()) + "]";
      auto plan = read_plan(*document, item, where);
      if (!plan) return tl::unexpected(plan.error());
      const auto same = [&](const Plan& other) { return other.name == plan->name; };
      if (std::ranges::any_of(out.all, same)) {
        return fail(Code::CONFIG,
                    document->where(item.line, where) + ": another plan is called " + plan->name);
      }
      out.all.push_back(std::move(*plan));
    }
  }
  if (out.all.empty()) return fail(Code::CONFIG, path + ": no plans");
  if (out.fallback.empty()) {
    return fail(Code::CONFIG, path + ": default is missing: the plan of owners that have none");
  }
  const std::pair<const char*, const std::string&> named[] = {{"default", out.fallback},
                                                              {"operator", out.operators}};
  for (const auto& each : named) {
    const std::string& name = each.second;
    const auto called = [&](const Plan& plan) { return plan.name == name; };
    if (!name.empty() && std::ranges::none_of(out.all, called)) {
      return fail(Code::CONFIG, path + ": " + each.first + ": no plan is called " + name);
    }
  }
  return out;
}

}  // namespace leat::config
