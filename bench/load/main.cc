// leat_load: see load/wire.h for what it sends, and --help.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "load/backend.h"
#include "load/client.h"

namespace {

using namespace leat;
using namespace leat::bench;

HostPort address(const std::string& text) {
  const auto parsed = parse_host_port(text, true);
  if (!parsed) throw CLI::ValidationError(text, parsed.error().text());
  return *parsed;
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  CLI::App app(
      "Load for tunnels: bulk whose every byte is checked, and tokens whose delay is taken.");
  app.require_subcommand(1);

  std::string listen = "127.0.0.1:0";
  unsigned bulk_threads = 1;
  CLI::App* backend = app.add_subcommand("backend", "the service behind the tunnel");
  backend->add_option("--listen", listen, "HOST:PORT")->capture_default_str();
  backend->add_option("--threads", bulk_threads, "for bulk")->check(CLI::Range(1, 64));

  Plan plan;
  std::string to;
  CLI::App* client = app.add_subcommand("client", "the visitor; prints a report as JSON");
  client->add_option("--to", to, "HOST:PORT")->required();
  client->add_option("--download", plan.download, "bulk streams from the backend");
  client->add_option("--upload", plan.upload, "bulk streams to the backend");
  client->add_flag("--http", plan.http, "bulk in bodies of HTTP messages");
  client->add_option("--tokens", plan.tokens, "token streams from the backend");
  client->add_option("--notes", plan.notes, "token streams to the backend");
  client->add_option("--pings", plan.pings, "64 bytes there and back, so many at once");
  client->add_option("--events", plan.events, "token streams as server-sent events");
  client->add_option("--connects", plan.connects, "connection after connection, so many at once");
  client->add_option("--requests", plan.requests,
                     "HTTP requests on kept connections, so many at once");
  client->add_option("--new-requests", plan.new_requests,
                     "HTTP requests on a new connection each, so many at once");
  client->add_option("--held", plan.held, "connections that are used once and then stand idle");
  client->add_option("--spread", plan.spread, "over so many ports, from that of --to on")
      ->check(CLI::Range(1, 60000));
  client->add_option("--path", plan.path, "before the names of HTTP requests; ends in /");
  client->add_flag("--marks", plan.marks, "say when the window begins and ends");
  client->add_option("--token-bytes", plan.token_bytes)->check(CLI::Range(16, 16384));
  client->add_option("--token-every-ms", plan.every_ms)->check(CLI::Range(0.01, 60000.0));
  client->add_option("--warmup", plan.warmup, "seconds")->check(CLI::NonNegativeNumber);
  client->add_option("--duration", plan.window, "seconds")->check(CLI::PositiveNumber);
  client->add_option("--sample", plan.sample, "check one of so many blocks of bulk")
      ->check(CLI::PositiveNumber);
  client->add_option("--threads", plan.threads, "for bulk")->check(CLI::Range(1, 64));
  client->add_option("--seed", plan.seed);
  client->add_option("--trace", plan.trace, "FILE for every token's time and delay, CSV");
  try {
    app.parse(argc, argv);
    if (*backend) return run_backend(address(listen), bulk_threads);
    plan.to = address(to);
    return run_client(plan);
  } catch (const CLI::Error& error) {
    return app.exit(error);
  }
}
