#include "cli/advice.h"

#include <cstdio>
#include <utility>

#include "cli/process.h"

namespace leat::cli {
namespace {

bool says(const Error& error, std::string_view what) {
  return error.detail.find(what) != std::string::npos;
}

}  // namespace

Advice advise(Error error, const std::string& state_dir) {
  const bool denied = says(error, "Permission denied") || says(error, "readonly database");
  if (error.code == Code::LISTEN && denied) {
    return {std::move(error),
            "A port below 1024 is for root: run it with sudo, or once 'sudo setcap "
            "cap_net_bind_service=+ep FILE' on the binary, or choose another port with --listen "
            ":8443."};
  }
  if ((error.code == Code::STORE || error.code == Code::STATE_DIR ||
       error.code == Code::KEY_FILE) &&
      denied) {
    return {{Code::STATE_DIR, state_dir + ": Permission denied"},
            "Run it as the user who owns the directory (with sudo, if that is root), or choose "
            "another --state-dir."};
  }
  if (error.code == Code::STATE_DIR && says(error, "another relay")) {
    return {std::move(error), "Stop the other one, or name another --state-dir."};
  }
  return {std::move(error), ""};
}

int report(const Advice& advice) {
  if (advice.next.empty()) return report(advice.error);
  const CodeInfo& about = info(advice.error.code);
  std::fprintf(stderr, "%s: %s: %s. %s\n", std::string(about.name).c_str(),
               std::string(about.meaning).c_str(), advice.error.detail.c_str(),
               advice.next.c_str());
  return exit_code(advice.error.code);
}

}  // namespace leat::cli
