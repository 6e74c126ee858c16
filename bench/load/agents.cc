// leat_agents: many agents in one process, for measuring a relay that has many. Each is a whole
// one, with a key, a TLS connection and a tunnel of its own; they share a thread, which is what a
// thousand machines would not.
//
//   leat_agents RELAY PIN TARGET COUNT FOLDER < tokens, one a line, dealt out in turn
//
// Prints a line "online TUNNEL" for each, when it serves, and "refused CODE" where it does not.
// Ends with standard input.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "base/address.h"
#include "base/log.h"
#include "net/shard.h"
#include "net/tls.h"

namespace {

using namespace leat;

class Told final : public agent::Listener {
 public:
  void on_status(const agent::Status& status) override {
    if (told_ || status.state != agent::Status::State::online) return;
    told_ = true;
    std::printf("online %s\n", status.tunnels.front().id.c_str());
    std::fflush(stdout);
  }
  void on_fatal(const Error& error) override {
    std::printf("refused %s\n", error.text().c_str());
    std::fflush(stdout);
  }

 private:
  bool told_ = false;
};

// Standard input has ended: whoever started this is gone.
class Input final : public net::Watched {
 public:
  explicit Input(net::Shard& shard) : shard_(shard) { (void)shard.watch(0, *this); }

 private:
  void on_ready() override {
    char byte;
    if (::read(0, &byte, 1) <= 0) shard_.stop();
  }
  net::Shard& shard_;
};

int run(char** arguments) {
  const auto relay = parse_host_port(arguments[1]);
  const auto pin = net::parse_pin(arguments[2]);
  const auto target = parse_host_port(arguments[3]);
  const int count = std::atoi(arguments[4]);
  std::vector<Secret> tokens;
  for (std::string line; std::getline(std::cin, line) && !line.empty();) tokens.emplace_back(line);
  if (!relay || !pin || !target || count < 1 || tokens.empty()) return 2;
  log::configure(log::Level::error, log::Format::text);
  net::Shard shard;
  std::vector<std::unique_ptr<Told>> told;
  std::vector<std::unique_ptr<agent::Agent>> agents;
  for (int i = 0; i < count; ++i) {
    agent::Service service;
    service.target = *target;
    agent::Options options;
    options.relay = *relay;
    options.trust.pin = *pin;
    options.token = tokens[static_cast<std::size_t>(i) % tokens.size()];
    options.state_dir = std::string(arguments[5]) + "/" + std::to_string(i);
    options.services = {service};
    told.push_back(std::make_unique<Told>());
    auto made = agent::Agent::create(shard, std::move(options), *told.back());
    if (!made) {
      std::fprintf(stderr, "%s\n", made.error().text().c_str());
      return 1;
    }
    agents.push_back(std::move(*made));
    agents.back()->start();
  }
  Input input(shard);
  shard.run();
  shard.unwatch(input);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: leat_agents RELAY PIN TARGET COUNT FOLDER\n");
    return 2;
  }
  return run(argv);
}
