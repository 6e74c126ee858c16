#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "base/calendar.h"
#include "base/file.h"
#include "base/plan.h"
#include "cli/admin_client.h"
#include "cli/advice.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/relay_address.h"
#include "cli/terminal.h"
#include "config/paths.h"
#include "store/store.h"

namespace leat::cli {
namespace {

using Json = nlohmann::json;

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}

struct Listed {
  std::string name, plan, created, last_used, revoked;  // by minutes; empty: never
};

Listed listed(const store::TokenInfo& token) {
  return {token.name, token.plan, day_and_minute(token.created),
          token.last_used ? day_and_minute(*token.last_used) : "",
          token.revoked ? day_and_minute(*token.revoked) : ""};
}

std::string table(const std::vector<Listed>& tokens) {
  std::size_t width = 4, plan = 4;
  for (const Listed& token : tokens) {
    width = std::max(width, token.name.size());
    plan = std::max(plan, token.plan.size());
  }
  constexpr std::size_t kTime = 18;
  std::string out = padded("NAME", width + 2) + padded("PLAN", plan + 2) +
                    padded("CREATED (UTC)", kTime) + padded("LAST USED", kTime) + "STATE\n";
  for (const Listed& token : tokens) {
    out += padded(token.name, width + 2) + padded(token.plan.empty() ? "-" : token.plan, plan + 2) +
           padded(token.created, kTime) +
           padded(token.last_used.empty() ? "never" : token.last_used, kTime) +
           (token.revoked.empty() ? "in force" : "revoked " + token.revoked) + "\n";
  }
  return out;
}

// --- by the admin API ---

// Of "2026-11-22T12:30:00Z", or null, as the table has it.
std::string minute_of(const Json& time) {
  if (time.is_null()) return {};
  std::string text = time.get<std::string>().substr(0, 16);
  if (text.size() > 10) text[10] = ' ';
  return text;
}

Result<std::string> list_by_api(const AdminAccess& access) {
  std::vector<Listed> tokens;
  std::string page = "/api/v1/tokens";
  for (;;) {
    const auto said = ask_admin(access, page);
    if (!said) return tl::unexpected(said.error());
    const Json json = Json::parse(*said);
    for (const Json& token : json.at("tokens")) {
      tokens.push_back({token.at("name"), token.at("plan"), minute_of(token.at("created")),
                        minute_of(token.at("last_used")), minute_of(token.at("revoked"))});
    }
    if (json.at("next").is_null()) return table(tokens);
    page = "/api/v1/tokens?cursor=" + json.at("next").get<std::string>();
  }
}

// What is to be printed.
Result<std::string> by_api(const TokenArguments& arguments, const AdminAccess& access) {
  const std::string name = percent_encoded(arguments.name);
  try {
    if (arguments.verb == TokenArguments::Verb::list) return list_by_api(access);
    if (arguments.verb == TokenArguments::Verb::revoke) {
      return ask_admin(access, "/api/v1/tokens/" + name, "DELETE");
    }
    std::string target = "/api/v1/tokens?name=" + name;
    if (!arguments.plan.empty()) target += "&plan=" + percent_encoded(arguments.plan);
    const auto said = ask_admin(access, target, "POST");
    if (!said) return tl::unexpected(said.error());
    return Json::parse(*said).at("token").get<std::string>() + "\n";
  } catch (const Json::exception&) {
    return fail(Code::PROTOCOL, "the admin API of another version");
  }
}

// --- of the database ---

// The relay's own, never a new one by accident: a token that no relay knows helps nobody. Whoever
// names a directory may prepare it for a relay that is yet to start.
Result<std::unique_ptr<store::Store>> open_store(const std::string& directory, bool prepare) {
  const std::string path = directory + "/leat.db";
  if (prepare) {
    const Result<void> made = make_directory(directory, Code::STATE_DIR);
    if (!made) return tl::unexpected(made.error());
    return store::Store::open(path);
  }
  if (::access(path.c_str(), F_OK) == 0) return store::Store::open(path);
  if (errno == ENOENT) {
    return fail(Code::STATE_DIR,
                "no relay has run here: " + directory + "; --state-dir names the relay's");
  }
  return fail(Code::STATE_DIR, directory + ": " + std::generic_category().message(errno));
}

// Where no relay has run yet nothing is known of its plans.
Result<void> check_plan_of(const std::string& directory, const std::string& plan) {
  const auto relay = relay_at_work(directory);
  return relay ? check_plan(plan, relay->plans) : Result<void>();
}

}  // namespace

int run_token(const TokenArguments& arguments) {
  const std::string directory = arguments.state_dir.value_or(config::default_state_dir());
  if (arguments.admin_key_file) {
    const auto access = admin_access(directory, *arguments.admin_key_file);
    if (!access) return report(advise(access.error(), directory));
    const auto said = by_api(arguments, *access);
    if (!said) return report(said.error());
    print(*said);
    return kExitStopped;
  }
  if (const auto known = check_plan_of(directory, arguments.plan); !known) {
    return report(known.error());
  }
  const bool prepare = arguments.verb == TokenArguments::Verb::create && arguments.state_dir;
  const auto store = open_store(directory, prepare);
  if (!store) return report(advise(store.error(), directory));
  switch (arguments.verb) {
    case TokenArguments::Verb::create: {
      const auto token = (*store)->create_token(arguments.name, arguments.plan);
      if (!token) return report(token.error());
      print(std::string(token->reveal()) + "\n");
      break;
    }
    case TokenArguments::Verb::invite: {
      const auto relay = relay_at_work(directory);
      if (!relay) return report(relay.error());
      const auto code = (*store)->create_code({.name = arguments.name, .plan = arguments.plan});
      if (!code) return report(code.error());
      print(invitation_text(relay->door, *code));
      break;
    }
    case TokenArguments::Verb::list: {
      const auto tokens = (*store)->tokens();
      if (!tokens) return report(tokens.error());
      std::vector<Listed> rows;
      std::ranges::transform(*tokens, std::back_inserter(rows), listed);
      print(table(rows));
      break;
    }
    case TokenArguments::Verb::revoke: {
      const auto revoked = (*store)->revoke_token(arguments.name);
      if (!revoked) return report(revoked.error());
      break;
    }
    case TokenArguments::Verb::plan: {
      const auto set = (*store)->set_plan(arguments.name, arguments.plan);
      if (!set) return report(set.error());
      break;
    }
    case TokenArguments::Verb::allow: {
      const auto allowed = (*store)->allow(arguments.name);
      if (!allowed) return report(allowed.error());
      break;
    }
  }
  return kExitStopped;
}

}  // namespace leat::cli
