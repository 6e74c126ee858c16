#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>
#include <vector>

#include "base/calendar.h"
#include "base/file.h"
#include "base/plan.h"
#include "cli/advice.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/relay_address.h"
#include "cli/terminal.h"
#include "config/paths.h"
#include "store/store.h"

namespace leat::cli {
namespace {

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}

std::string table(const std::vector<store::TokenInfo>& tokens) {
  std::size_t width = 4, plan = 4;
  for (const store::TokenInfo& token : tokens) {
    width = std::max(width, token.name.size());
    plan = std::max(plan, token.plan.size());
  }
  constexpr std::size_t kTime = 18;
  std::string out = padded("NAME", width + 2) + padded("PLAN", plan + 2) +
                    padded("CREATED (UTC)", kTime) + padded("LAST USED", kTime) + "STATE\n";
  for (const store::TokenInfo& token : tokens) {
    out += padded(token.name, width + 2) + padded(token.plan.empty() ? "-" : token.plan, plan + 2) +
           padded(day_and_minute(token.created), kTime) +
           padded(token.last_used ? day_and_minute(*token.last_used) : "never", kTime) +
           (token.revoked ? "revoked " + day_and_minute(*token.revoked) : "in force") + "\n";
  }
  return out;
}

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
      print(table(*tokens));
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
