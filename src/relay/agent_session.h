// One connected agent: its session, its control stream and the tunnels it has bound.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "control/server.h"
#include "mux/endpoint.h"
#include "net/session_driver.h"
#include "net/socket.h"
#include "relay/context.h"
#include "relay/reset_pace.h"

namespace leat::relay {

// https://HOST becomes wss://HOST/client?room=ID.
std::string room_url(std::string_view public_url, std::string_view room);

class AgentSession final : private net::SessionDriver::Owner,
                           private control::ServerEvents,
                           private mux::Source,
                           private mux::Sink {
 public:
  AgentSession(Context& context, std::unique_ptr<net::Transport> carrier,
               const net::SessionId& session, const PublicKey& identity, Directory::Seat seat,
               std::optional<Counted> waiting);
  ~AgentSession();

  void start(Bytes surplus);
  net::SessionDriver& driver() { return driver_; }
  // A stream for a visitor. nullopt: the agent has all it allows, or so many visitors have just
  // left that the agent is to recover from them first.
  std::optional<mux::StreamHandle> open_stream();
  // What the agent asked for when it bound the tunnel; nullptr: it has not.
  const control::TunnelRequest* bound(const std::string& tunnel) const;
  // Where visitors reach it; empty: it is not bound.
  std::vector<std::string> urls_of(const std::string& tunnel) const;
  const PublicKey& identity() const { return identity_; }
  std::size_t shard() const { return seat_.shard(); }
  // Nothing has come from the agent for longer than a live carrier is ever silent.
  bool silent() const { return context_.shard.now() - driver_.heard() > limits::kSilent; }
  const std::string& credential_name() const { return credential_name_; }
  struct About {
    std::string host_name, software, peer;
    std::chrono::sys_seconds since;
    std::vector<std::string> tunnels;
    std::size_t streams;
    std::uint64_t bytes_in, bytes_out;
    Duration rtt;
  };
  About about();
  // Gives up what is not its owner's any more: the tunnel of that id, or those with that host. Says
  // what they were.
  std::vector<control::TunnelRequest> revoke(const std::string& name);
  // Of its owner; not null once it has bound something.
  const std::shared_ptr<Account>& account() const { return account_; }
  // Tells the agent, if it is that owner's, that a quota is used up.
  void notice(const Account& account, Code code);
  // The rules of a tunnel it has bound; nullptr: none.
  std::shared_ptr<const Access> access(const std::string& tunnel) const;

  // So many sessions serve this tunnel.
  void tell_shared(const std::string& tunnel, std::uint32_t agents);
  // Tells the agent to go elsewhere or come back; streams go on until close().
  void drain();
  // Tells the agent why and ends the session.
  void close(const Error& why);
  // After the store has changed: ends the session if its credential was revoked.
  void check_credential();
  // After other keys were read: ends it if none of them verifies its JWT.
  void check_keys();

 private:
  // net::SessionDriver::Owner
  void on_stream(mux::StreamHandle stream) override;
  void on_ended(const Error& why) override;
  // control::ServerEvents
  void on_hello(control::HelloInfo hello) override;
  void on_bind(std::uint32_t request, const control::TunnelRequest& tunnel) override;
  void on_unbind(const std::string& tunnel) override;
  void on_health(const std::string& tunnel, const Error* failure) override;
  void on_leave() override;
  // The control stream
  mux::Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override;
  void end() override;
  void reset(mux::ResetReason reason) override;

  // A Bind on its way to its Bound.
  struct Asked {
    std::uint32_t request;
    control::TunnelRequest tunnel;
    bool generated = false;  // the id is one we made now
    Result<void> allowed = {};
    std::optional<Directory::Held> held = std::nullopt;
    std::shared_ptr<Ports::Lease> port = nullptr;  // of a tcp tunnel that was not there before
  };
  void watch_expiry();
  // Of what kind visitors are asked for what: BAD_POLICY.
  Result<void> check_rules(const control::TunnelRequest& tunnel) const;
  Result<void> set_access(const control::TunnelRequest& tunnel);
  void forget_access(const std::string& tunnel);
  void answer_binds();
  Result<bool> check(Asked& asked);
  Result<void> check_hosts(const control::TunnelRequest& tunnel) const;
  std::vector<store::Claim> claims_of(const Asked& asked) const;
  std::vector<std::string> urls(const control::TunnelRequest& tunnel) const;
  void answer(Asked& asked);
  Result<control::TunnelBound> bind(Asked& asked);
  Result<std::shared_ptr<Ports::Lease>> lend(const control::TunnelRequest& tunnel);
  void send();
  void refuse(const Error& why);
  void retire();
  void part();
  void log_end(const Error& why) const;

  Context& context_;
  const Directory::Seat seat_;
  PublicKey identity_;
  std::string session_name_;
  std::string peer_;
  net::SessionDriver driver_;
  control::Server control_;
  mux::StreamHandle control_stream_;
  net::Timer hello_timer_;
  net::Timer leave_timer_;          // armed: the agent wants to leave, and visitors still wait
  std::optional<Counted> waiting_;  // until Hello is accepted …
  std::optional<Counted> counted_;  // … and from then on: of its token, until it closes
  ResetPace resets_;
  std::string control_out_;
  std::int64_t token_id_ = 0;           // 0: not welcomed
  std::optional<auth::Claims> claims_;  // what the JWT it came with says …
  net::Timer expiry_timer_;             // … and ends the session when it does
  std::string credential_name_, host_name_, software_;
  std::chrono::sys_seconds since_;
  std::shared_ptr<Account> account_;
  std::vector<Asked> binds_;  // of the bytes that are being fed
  struct Tunnel {
    control::TunnelRequest request;
    std::shared_ptr<Ports::Lease> port;  // tcp only; of all that serve the tunnel
    std::vector<std::unique_ptr<Names::Hold>> hosts;
    Directory::Held held;
  };
  absl::flat_hash_map<std::string, Tunnel> tunnels_;
  bool leaves_ = false;  // the agent has asked for the end …
  bool closed_ = false;  // … or the relay has ended it
  struct Rules {
    std::shared_ptr<const Access> access;
    std::size_t size;  // taken from the relay's memory
  };
  absl::flat_hash_map<std::string, Rules> access_;  // of tunnels that are bound
  std::size_t access_size_ = 0;                     // of all: at most limits::kSessionRules
  bool over_ = false;
};

}  // namespace leat::relay
