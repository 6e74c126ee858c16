#include <unistd.h>

#include "base/address.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/sample_server.h"
#include "cli/terminal.h"
#include "config/values.h"

namespace leat::cli {

int run_sample(const SampleArguments& arguments) {
  const auto wrong = [](const char* flag, const Error& error) {
    return report({Code::USAGE, std::string(flag) + ": " + error.detail});
  };
  const auto listen = parse_host_port(arguments.listen, true);
  if (!listen) return wrong("--listen", listen.error());
  const auto level = config::parse_level(arguments.log_level);
  if (!level) return wrong("--log-level", level.error());
  const auto format = config::parse_format(arguments.log_format);
  if (!format) return wrong("--log-format", format.error());
  log::configure(*level, *format);

  net::Shard shard;
  Daemon daemon(shard);
  const auto server =
      SampleServer::start(shard, {*listen, arguments.tokens_per_second, arguments.tokens});
  if (!server) return report(server.error());
  const std::string address = (*server)->address().text();
  if (arguments.state_dir) {
    const std::string state =
        "{\"address\": \"" + address + "\", \"pid\": " + std::to_string(::getpid()) + "}\n";
    const auto written = make_directory(*arguments.state_dir, Code::STATE_DIR).and_then([&] {
      return write_file(*arguments.state_dir + "/sample.json", state, 0644, Code::STATE_DIR);
    });
    if (!written) return report(written.error());
  }
  print("sample server on http://" + address + "\n");
  return daemon.run([&](Daemon::Done done) { (*server)->drain(std::move(done)); });
}

}  // namespace leat::cli
