#include "cli/agent_settings.h"
#include "cli/commands.h"
#include "cli/doctor.h"
#include "cli/process.h"
#include "cli/terminal.h"

namespace leat::cli {
namespace {

int show(const std::vector<Finding>& findings, bool json) {
  print(json ? findings_json(findings) : findings_text(findings));
  return has_fault(findings) ? kExitFailed : kExitStopped;
}

}  // namespace

int run_doctor(const DoctorArguments& arguments) {
  const auto options = agent_options(arguments.agent, Services::optional);
  if (!options) {
    if (options.error().code == Code::USAGE) return report(options.error());
    return show({fault("configuration", options.error())}, arguments.json);
  }
  net::Shard shard;
  Daemon daemon(shard);  // an interrupt ends it
  Doctor doctor(shard, *options, [&] { daemon.end(kExitStopped); });
  shard.post([&] { doctor.start(); });
  daemon.run([&](const Daemon::Done& done) { done(); });
  return show(doctor.findings(), arguments.json);
}

}  // namespace leat::cli
