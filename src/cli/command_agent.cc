#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/agent.h"
#include "base/log.h"
#include "cli/agent_settings.h"
#include "cli/commands.h"
#include "cli/metrics_server.h"
#include "cli/process.h"
#include "cli/reload.h"
#include "cli/status_view.h"
#include "cli/terminal.h"
#include "cli/version.h"

namespace leat::cli {

namespace {

// Tells where the services are, and again whenever that changes; at a terminal the live view does.
class Display final : public agent::Listener {
 public:
  explicit Display(Daemon& daemon) : daemon_(daemon) {}

  void watch(net::Shard& shard, const agent::Agent& agent) { view_.emplace(shard, agent); }
  void end() { view_.reset(); }
  void note(std::string text) {
    if (view_) view_->note(std::move(text));
  }

  void on_status(const agent::Status& status) override {
    if (view_ || status.state != agent::Status::State::online) return;
    std::vector<BoxLine> lines;
    for (const agent::TunnelStatus& tunnel : status.tunnels) {
      if (!tunnel.error && tunnel.urls.empty()) return;  // the relay's answer is yet to come
      add(tunnel, lines);
    }
    std::string text = box(version_line() + " agent, by way of " + status.relay, lines);
    if (text == shown_) return;
    print(text);
    shown_ = std::move(text);
  }

  void on_fatal(const Error& error) override {
    view_.reset();  // the last words go below it
    report(error);
    daemon_.end(agent::is_credential(error.code) ? kExitRefused : exit_code(error.code));
  }

 private:
  static void add(const agent::TunnelStatus& tunnel, std::vector<BoxLine>& lines) {
    const bool sealed = tunnel.kind == control::TunnelKind::sealed;
    for (const std::string& url : tunnel.urls) {
      lines.push_back({sealed ? "sealed" : "public", url});
    }
    lines.push_back({"service", tunnel.target});
    if (tunnel.error) {
      lines.push_back({"not published", tunnel.error->text()});
    } else {
      lines.push_back({"the relay sees", control::relay_sees(tunnel.kind)});
      if (sealed) lines.push_back({"to let a device in", "leat pair"});
    }
  }

  Daemon& daemon_;
  std::string shown_;
  std::optional<StatusView> view_;
};

}  // namespace

int run_agent(const AgentArguments& arguments) {
  auto options = agent_options(arguments);
  if (!options) return report(options.error());
  take_descriptors();
  net::Shard shard;
  Daemon daemon(shard);
  Display display(daemon);
  const auto agent = agent::Agent::create(shard, *options, display);
  if (!agent) return report(agent.error());
  std::unique_ptr<MetricsServer> metrics;
  if (options->metrics_listen) {
    auto started =
        MetricsServer::start(shard, *options->metrics_listen, [&] { return (*agent)->metrics(); });
    if (!started) return report(started.error());
    metrics = std::move(*started);
    log::info("metrics", {{"listen", metrics->address().text()}});
  }
  if (StatusView::wanted()) display.watch(shard, **agent);
  (*agent)->start();
  // There may be nothing to read again but the files of who may visit.
  std::function<void()> reload;
  const bool files = std::ranges::any_of(
      options->services, [](const agent::Service& service) { return service.visitors.asks(); });
  if (arguments.config || files) {
    reload = [&, read = agent_reload(arguments, **agent, *options)] { display.note(read()); };
  }
  const int code =
      daemon.run([&](Daemon::Done done) { (*agent)->drain(std::move(done)); }, std::move(reload));
  display.end();
  return code;
}

}  // namespace leat::cli
