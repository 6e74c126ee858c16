// `leat demo`: relay, agent and service as processes of their own on this machine, and one
// streaming chat request from outside through all of them.
//
//   relay up ─▶ service up ─▶ agent online ─▶ model known ─▶ answer streamed ─▶ stays, or stops
//       └────────────┴────────────┴───────────────┴───────────────┴──▶ failed: logs shown, stops
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/chat_stream.h"
#include "cli/child.h"
#include "cli/demo_report.h"
#include "cli/http_client.h"
#include "cli/process.h"
#include "net/shard.h"
#include "net/tls.h"

namespace leat::cli {

class Demo {
 public:
  Demo(net::Shard& shard, Daemon& daemon, DemoArguments arguments);
  ~Demo();  // removes its files

  // Makes a directory for all state, and starts the first process.
  Result<void> begin();
  // Ends the processes, the agent first, and waits for them.
  void stop(Daemon::Done done);
  bool answered() const { return answered_; }

 private:
  struct Waiting {
    Child* child;
    std::function<bool()> ready;
    Time deadline;
  };

  Result<Child*> start(std::string name, std::vector<std::string> arguments,
                       std::vector<std::string> environment = {});
  // Calls `ready` every few milliseconds until it says true, the child ends, or patience does.
  void await(Child& child, std::function<bool()> ready);
  void poll();
  void exited(Child& child);

  // The steps, in order.
  bool relay_ready();
  void start_service();
  bool service_ready();
  void start_agent();
  bool agent_ready();
  void find_model(const char* path);
  void model_found(const std::string& model);
  void take_tokens(int status, std::string_view content);
  void answer_ended(Result<int> status);
  void stay();

  void request(std::string method, const std::string& path, std::string body,
               HttpClient::OnContent on_content, HttpClient::OnDone on_done);
  void fail_with(const std::string& what, const Child* child = nullptr);
  void end_next_child();
  std::string file(std::string_view name) const { return directory_ + "/" + std::string(name); }

  net::Shard& shard_;
  Daemon& daemon_;
  DemoArguments arguments_;
  std::string directory_;
  std::string token_;
  std::vector<std::unique_ptr<Child>> children_;  // in the order of their start
  std::optional<Waiting> waiting_;
  net::Timer timer_;
  Daemon::Done stopped_;  // set: stopping

  HostPort relay_;
  std::string pin_;  // as the relay prints it
  std::string target_;
  std::string url_, host_, prefix_;  // of the tunnel; the last without its final slash
  std::string model_;
  std::optional<net::TlsContext> tls_;
  std::unique_ptr<HttpClient> client_;
  ChatStream stream_;
  std::string other_content_;  // of an answer that is no stream of tokens
  DemoReport report_;
  bool answered_ = false;
};

}  // namespace leat::cli
