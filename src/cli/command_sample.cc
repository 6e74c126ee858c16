#include <unistd.h>

#include "base/address.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/sample_server.h"
#include "cli/terminal.h"

namespace leat::cli {

int run_sample(const SampleArguments& arguments) {
  apply_log(arguments.log);
  const auto listen = parse_host_port(arguments.listen, true);
  if (!listen) return report({Code::USAGE, "--listen: " + listen.error().detail});

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
