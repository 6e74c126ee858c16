#include "base/log.h"
#include "cli/commands.h"
#include "cli/demo.h"
#include "cli/process.h"
#include "config/values.h"

namespace leat::cli {

int run_demo(const DemoArguments& arguments) {
  if (!arguments.target.empty()) {
    const auto target = config::parse_target(arguments.target);
    if (!target) return report({Code::USAGE, "--target: " + target.error().detail});
  }
  log::configure(log::Level::warn, log::Format::text);
  net::Shard shard;
  Daemon daemon(shard);
  Demo demo(shard, daemon, arguments);
  if (const auto begun = demo.begin(); !begun) return report(begun.error());
  const int code = daemon.run([&](Daemon::Done done) { demo.stop(std::move(done)); });
  return arguments.once && !demo.answered() ? kExitFailed : code;
}

}  // namespace leat::cli
