// What can be wrong between an agent and its visitors, looked at one after the other: the relay's
// name, the way to it, its certificate, the token, this machine's clock, the local services, and
// what the kernel lends. A session of its own, under an identity of its own, so that no agent that
// runs is disturbed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/connection.h"
#include "agent/health.h"
#include "base/signature.h"
#include "cli/relay_date.h"
#include "net/shard.h"

namespace leat::cli {

struct Finding {
  enum class Level : std::uint8_t { ok, note, fault };
  Level level;
  std::string check;  // "resolve", "token", …
  std::string text;
  std::string code, next;  // of a fault, and the latter of a note
};

std::string findings_text(const std::vector<Finding>& findings);
std::string findings_json(const std::vector<Finding>& findings);
bool has_fault(const std::vector<Finding>& findings);
Finding fault(std::string check, const Error& error);

// What the kernel says of congestion controls: `allowed` and `available` are the contents of
// /proc/sys/net/ipv4/tcp_{allowed,available}_congestion_control.
Finding congestion_finding(const std::string& allowed, const std::string& available);
// How far this machine's clock is ahead of the relay's.
Finding clock_finding(std::chrono::seconds ahead);

class Doctor final : private agent::Connection::Owner {
 public:
  // `options` outlives it. `done` is called once, from the shard.
  Doctor(net::Shard& shard, const agent::Options& options, std::function<void()> done);
  ~Doctor();

  void start();
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  // agent::Connection::Owner
  std::shared_ptr<agent::Egress> find_egress(std::string_view) override { return nullptr; }
  agent::SealedGate* gate() override { return nullptr; }
  void on_lost(const Error& why) override;
  void on_welcome(const std::string& session, const std::string& credential_name) override;
  void on_bound(std::size_t, const control::TunnelBound&) override {}
  void on_bind_failed(std::size_t, const Error&) override {}
  void on_drain(const std::string&, std::uint32_t, const std::vector<std::string>&) override {}
  void on_notice(const Error&) override {}

  bool resolve();
  void connect();
  void judge(const Error& why);
  void look_at_clock();
  void look_at_services();
  void service_seen();
  void finish();
  void ok(std::string check, std::string text);

  net::Shard& shard_;
  const agent::Options& options_;
  std::function<void()> done_;
  std::vector<Finding> findings_;
  const SigningKey identity_;
  std::optional<net::TlsContext> native_, web_;
  bool websocket_ = false, welcomed_ = false;
  std::unique_ptr<agent::Connection> connection_;
  std::unique_ptr<RelayDate> date_;
  std::vector<agent::Service> services_;
  std::optional<net::TlsContext> service_tls_, insecure_tls_;
  std::vector<std::unique_ptr<agent::Health>> healths_;
  net::Timer patience_;
};

}  // namespace leat::cli
