// The commands, one file each: what they do once the command line is understood. Each returns the
// exit code of the program and has said on standard error what went wrong.
#pragma once

#include "cli/arguments.h"

namespace leat::cli {

int run_relay(const RelayArguments& arguments);
int run_agent(const AgentArguments& arguments);
int run_join(const JoinArguments& arguments);
int run_token(const TokenArguments& arguments);
int run_status(const StatusArguments& arguments);
int run_usage(const UsageArguments& arguments);
int run_pair(const PairArguments& arguments);
int run_device(const DeviceArguments& arguments);
int run_key(const KeyArguments& arguments);
int run_connect(const ConnectArguments& arguments);
int run_config(const ConfigArguments& arguments);
int run_doctor(const DoctorArguments& arguments);
int run_sample(const SampleArguments& arguments);
int run_demo(const DemoArguments& arguments);

}  // namespace leat::cli
