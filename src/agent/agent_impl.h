// The life of an agent across its connections: when to try, when to give up, what to tell whom.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/connection.h"
#include "agent/egress.h"
#include "agent/metrics.h"
#include "agent/sealed_gate.h"
#include "agent/state_file.h"
#include "base/signature.h"
#include "crypto/identity.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/tls.h"

namespace leat::agent {

class Agent::Impl final : private Connection::Owner, private net::Deferred {
 public:
  static Result<std::unique_ptr<Impl>> create(net::Shard& shard, Options options, Listener& events);
  ~Impl() override;

  void start();
  void drain(std::function<void()> done);
  const Status& status();
  const RequestLog& requests() const { return *requests_; }
  std::string metrics();
  Result<Changes> reload(std::vector<Service> services);

 private:
  struct Contexts {
    net::TlsContext relay, web_relay;  // leat/1, and HTTP for a WebSocket
  };
  using ServiceTls = std::array<std::shared_ptr<const net::TlsContext>, 2>;  // [insecure]
  // A service and its tunnel. Its place in slots_ is the index by which a session's control stream
  // knows it, so it stays, empty, when the service goes, until the session is over.
  struct Slot {
    std::shared_ptr<Egress> egress;  // null: gone
    std::size_t nth = 0;             // among those alike, for kept_
    std::size_t order = 0;           // in the configuration
    bool answered = false;           // this connection's Bind
    TunnelStatus status;
  };
  Impl(net::Shard& shard, Options options, control::Credential credential, Listener& events,
       crypto::Identity identity, Contexts tls, ServiceTls service_tls);
  // If a service is sealed. LISTEN, CONFIG.
  Result<void> open_gate();
  std::vector<std::shared_ptr<Egress>> sealed_services() const;
  static Result<Contexts> make_contexts(const Options& options);

  // Services: agent_services.cc
  static Result<ServiceTls> make_service_tls(std::span<const Service> services, ServiceTls known);
  static Result<void> check_services(std::span<const Service> services);
  std::shared_ptr<Egress> make_egress(const Service& service);
  Slot& add_slot(const Service& service, std::size_t nth, std::size_t order);
  void remove_slot(Slot& slot);
  void replace_service(Slot& slot, const Service& service);
  void on_health(Egress& egress);
  void report_health(const Egress& egress);

  // The relay's answers: agent_session.cc
  std::shared_ptr<Egress> find_egress(std::string_view tunnel) override;
  SealedGate* gate() override { return gate_.get(); }
  void on_welcome(const std::string& session, const std::string& credential_name) override;
  void on_bound(std::size_t index, const control::TunnelBound& tunnel) override;
  void on_bind_failed(std::size_t index, const Error& error) override;
  void on_drain(const std::string& reason, std::uint32_t retry_after_ms,
                const std::vector<std::string>& relays) override;
  void on_notice(const Error& error) override;
  void on_taken(const std::string& tunnel, const Error& why) override;
  void on_shared(const std::string& tunnel, std::uint32_t agents) override;
  void answered(Slot& slot);
  void keep_id(std::size_t index, std::string_view id);
  void ask_again();
  control::TunnelRequest request(std::size_t index) const;

  // Trying and giving up: agent_impl.cc
  void connect();
  void on_lost(const Error& why) override;
  bool gives_up(Code code) const;
  bool try_the_other(Code code);
  void log_lost(const Error& why, Duration delay);
  void leave();
  void cut();
  void give_up(const Error& why);
  void stop();

  void set_state(Status::State state);
  void publish();
  void on_deferred() override;

  net::Shard& shard_;
  const Options options_;
  const control::Credential credential_;
  Listener& events_;
  crypto::Identity identity_;  // the gate keeps its sealing key up to date
  const Contexts tls_;
  KeptIds kept_;
  ServiceTls service_tls_;
  const std::shared_ptr<RequestLog> requests_;
  const std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>();
  std::deque<Slot> slots_;
  std::map<std::string, std::shared_ptr<Egress>, std::less<>> by_id_;
  std::unique_ptr<SealedGate> gate_;  // null: no service is sealed
  Status status_;
  std::uint64_t past_sent_ = 0, past_received_ = 0;  // bytes of sessions that are over

  std::unique_ptr<Connection> connection_;
  bool fallen_back_ = false;  // to a WebSocket, where a TLS carrier was refused
  net::Backoff backoff_;
  net::Timer retry_;
  bool welcomed_ = false;  // this connection
  Time welcomed_at_ = kNever;
  std::size_t bound_ = 0;             // of this connection
  std::vector<std::size_t> refused_;  // tunnels to be asked for again …
  net::Timer ask_again_;              // … in a while
  net::Backoff ask_backoff_;
  std::optional<Duration> relay_drains_;  // it is shutting down; come back after so long
  bool ever_welcomed_ = false, ever_verified_ = false, ever_bound_ = false;
  std::optional<Error> logged_;  // the failure logged last …
  std::uint64_t repeated_ = 0;   // … and how often it came again

  net::Timer leave_deadline_;  // leaving: visitors that are not done by then are cut
  std::function<void()> done_;
  std::optional<Error> fatal_;  // given up, and not yet told
  bool changed_ = false;        // status_, since it was published
};

}  // namespace leat::agent
