// leat: one program, its commands by name.
#include <variant>

#include "cli/commands.h"
#include "cli/process.h"
#include "cli/terminal.h"

namespace leat::cli {
namespace {

struct Run {
  int operator()(const RelayArguments& arguments) const { return run_relay(arguments); }
  int operator()(const AgentArguments& arguments) const { return run_agent(arguments); }
  int operator()(const JoinArguments& arguments) const { return run_join(arguments); }
  int operator()(const TokenArguments& arguments) const { return run_token(arguments); }
  int operator()(const StatusArguments& arguments) const { return run_status(arguments); }
  int operator()(const UsageArguments& arguments) const { return run_usage(arguments); }
  int operator()(const PairArguments& arguments) const { return run_pair(arguments); }
  int operator()(const DeviceArguments& arguments) const { return run_device(arguments); }
  int operator()(const KeyArguments& arguments) const { return run_key(arguments); }
  int operator()(const ConnectArguments& arguments) const { return run_connect(arguments); }
  int operator()(const ConfigArguments& arguments) const { return run_config(arguments); }
  int operator()(const DoctorArguments& arguments) const { return run_doctor(arguments); }
  int operator()(const SampleArguments& arguments) const { return run_sample(arguments); }
  int operator()(const DemoArguments& arguments) const { return run_demo(arguments); }
  int operator()(const PrintArguments& arguments) const {
    print(arguments.text);
    return kExitStopped;
  }
};

}  // namespace
}  // namespace leat::cli

int main(int argc, char** argv) {
  const auto arguments = leat::cli::parse_arguments(argc, argv);
  if (!arguments) return leat::cli::report(arguments.error());
  leat::cli::take_signals();
  return std::visit(leat::cli::Run(), *arguments);
}
