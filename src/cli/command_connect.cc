#include <unistd.h>

#include <array>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "cli/agent_settings.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "config/paths.h"
#include "config/proxy_variables.h"
#include "config/values.h"
#include "connect/client.h"
#include "connect/stdio.h"

namespace leat::cli {
namespace {

Result<Secret> link_text(const ConnectArguments& arguments) {
  if (arguments.link_file.empty()) return Secret(arguments.agent);
  Result<Secret> text;
  if (arguments.link_file == "-") {
    text = Secret(std::string(std::istreambuf_iterator<char>(std::cin), {}));
  } else {
    text = read_private_file(arguments.link_file, Code::BAD_LINK);
    if (!text) return text;
  }
  const std::string_view all = text->reveal();
  return Secret(std::string(all.substr(0, all.find_last_not_of(" \t\r\n") + 1)));
}

Result<connect::Options> options_of(const ConnectArguments& arguments) {
  connect::Options out;
  const auto secret = link_text(arguments);
  if (!secret) return tl::unexpected(secret.error());
  const std::string_view text = secret->reveal();
  if (text.empty()) return fail(Code::USAGE, "AGENT (or --link-file) is missing");
  if (connect::is_link(text)) {
    auto link = connect::parse_link(text);
    if (!link) return tl::unexpected(link.error());
    out.link = std::move(*link);
  } else if (!arguments.link_file.empty()) {
    return fail(Code::BAD_LINK, arguments.link_file);
  } else {
    out.agent = text;
  }
  out.directory = arguments.state_dir.value_or(config::default_state_dir("connect"));
  out.device = arguments.name.empty() ? machine_name() : arguments.name;
  out.service = arguments.service;
  out.padding = arguments.padding;
  for (const std::string& address : arguments.direct) {
    auto parsed = parse_host_port(address);
    if (!parsed) return fail(Code::USAGE, "--direct: " + parsed.error().detail);
    out.direct.push_back(std::move(*parsed));
  }
  const auto proxy = config::ProxyVariables::read();
  if (!proxy) return tl::unexpected(proxy.error());
  out.proxy = [proxy = *proxy](std::string_view host) -> std::optional<net::Proxy> {
    const auto found = proxy.on_the_way_to(host);
    if (!found) return std::nullopt;
    return net::Proxy{found->address, found->credentials};
  };
  out.by_relay = arguments.way != "direct";
  out.by_direct = arguments.way != "relay";
  out.suite = arguments.suite == "nacl" ? crypto::Suite::nacl : crypto::Suite::aesgcm;
  if (!arguments.local.empty()) {
    auto local = parse_host_port(arguments.local, true);
    if (!local) return fail(Code::USAGE, "--local: " + local.error().detail);
    out.listen = std::move(*local);
    return out;
  }
  if (arguments.link_file == "-") return fail(Code::USAGE, "--link-file -: needs --local");
  auto stdio = connect::Stdio::open();
  if (!stdio) return tl::unexpected(stdio.error());
  out.stdio = std::move(*stdio);
  return out;
}

// Standard output may be the service's: people are told on standard error.
class Display final : public connect::Client::Listener {
 public:
  Display(Daemon& daemon, bool quiet) : daemon_(daemon), quiet_(quiet) {}

  void on_listening(const HostPort& address) override {
    std::fprintf(stderr, "listening on %s\n", address.text().c_str());
  }
  void on_connected(const std::string& agent, const std::string& way) override {
    if (!quiet_) std::fprintf(stderr, "connected to %s, sealed, %s\n", agent.c_str(), way.c_str());
  }
  void on_over(const Error* why) override {
    daemon_.end(why == nullptr ? kExitStopped : report(*why));
  }

 private:
  Daemon& daemon_;
  const bool quiet_;
};

}  // namespace

int run_connect(const ConnectArguments& arguments) {
  const auto level = config::parse_level(arguments.log_level);
  const auto format = config::parse_format(arguments.log_format);
  if (!level || !format) return report(level ? format.error() : level.error());
  log::configure(*level, *format);
  auto options = options_of(arguments);
  if (!options) return report(options.error());
  const bool by_pipes = !options->listen;
  int code = kExitFailed;
  {
    net::Shard shard;
    Daemon daemon(shard);
    Display display(daemon, false);
    const auto client = connect::Client::create(shard, std::move(*options), display);
    if (!client) {
      code = report(client.error());
    } else {
      (*client)->start();
      code = daemon.run([&](Daemon::Done done) { (*client)->stop(std::move(done)); });
    }
  }
  if (by_pipes) connect::Stdio::drain();
  return code;
}

}  // namespace leat::cli
