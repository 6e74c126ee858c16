#include "cli/agent_settings.h"
#include "cli/commands.h"
#include "cli/demo.h"
#include "cli/process.h"

namespace leat::cli {

int run_demo(const DemoArguments& arguments) {
  if (!arguments.target.empty()) {
    const auto target = parse_target(arguments.target, control::TunnelKind::http);
    if (!target) return report(target.error());
  }
  apply_log({.level = "warn", .format = std::nullopt});
  net::Shard shard;
  Daemon daemon(shard);
  Demo demo(shard, daemon, arguments);
  if (const auto begun = demo.begin(); !begun) return report(begun.error());
  const int code = daemon.run([&](Daemon::Done done) { demo.stop(std::move(done)); });
  return arguments.once && !demo.answered() ? kExitFailed : code;
}

}  // namespace leat::cli
