// The agent's side of the control stream, sans-I/O: Hello, wait for Welcome, Bind each tunnel, then
// react to Drain and Notice. The state table is in docs/protocol.md §3.2.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/names.h"
#include "base/secret.h"
#include "base/signature.h"
#include "control/policy.h"
#include "control/wire.h"

namespace leat::proto {
class Bound;
class Control;
class Welcome;
}  // namespace leat::proto

namespace leat::control {

enum class TunnelKind : std::uint8_t { http, tcp, ws, tls, sealed };
const char* name(TunnelKind kind);
// What a relay can see of a tunnel's visitors; ends "the relay sees …".
const char* relay_sees(TunnelKind kind);

using leat::valid_host_name;
using leat::valid_tunnel_id;

// What an agent shows to be let in.
struct Credential {
  enum class Kind : std::uint8_t { none, token, jwt, join_code } kind = Kind::none;
  Secret text;
  // Where it is bound to another key than the agent's identity: that key, vouching.
  struct Delegation {
    PublicKey key;
    Signature signature;  // over delegate_message()
  };
  std::optional<Delegation> delegation;

  Credential() = default;
  // A token, or a JWT if it looks like one: three parts, the first of them JSON.
  Credential(Secret token);  // NOLINT: who has a token has a credential
  static Credential code(Secret join_code);
};
std::string delegate_message(const PublicKey& identity);

struct TunnelRequest {
  std::string id;  // empty: the relay generates one, and the same is asked for after a reconnect
  TunnelKind kind = TunnelKind::http;
  bool is_public = false;
  std::uint16_t remote_port = 0;
  std::vector<std::string> hosts = {};      // http, tls: names of its own
  std::chrono::milliseconds first_byte{0};  // http: 0 is limits::kFirstByte …
  std::chrono::milliseconds idle{0};        // … and limits::kIdleBody
  VisitorPolicy visitors = {};
  std::vector<std::string> cors = {};  // http: origins whose pages may use it, or "*"
};

struct TunnelBound {
  std::string id;
  std::vector<std::string> urls;
  std::uint16_t remote_port = 0;
};

// They run inside Client::feed and may call anything of the client but feed.
class ClientEvents {
 public:
  virtual void on_welcome(const std::string& session, const std::string& credential_name) = 0;
  virtual void on_bound(std::size_t index,
                        const TunnelBound& tunnel) = 0;  // index into the requests
  virtual void on_bind_failed(std::size_t index, const Error& error) = 0;
  // retry_after_ms: at most limits::kReturnAfter.
  virtual void on_drain(const std::string& reason, std::uint32_t retry_after_ms,
                        const std::vector<std::string>& relays) = 0;
  virtual void on_notice(const Error& error) = 0;
  // Behind the notice that says why: the relay has taken this tunnel of ours away.
  virtual void on_taken(const std::string& /*tunnel*/, const Error& /*why*/) {}
  // So many agents serve this tunnel of ours, this one included.
  virtual void on_shared(const std::string& /*tunnel*/, std::uint32_t /*agents*/) {}
  // Before on_welcome: what the relay made for a join code.
  virtual void on_credential(const Secret&) {}

 protected:
  ~ClientEvents() = default;
};

class Client {
 public:
  // Tunnels beyond limits::kControlTunnels are not asked for: on_bind_failed with LEAT_CONFIG.
  Client(ClientEvents& events, const PublicKey& identity, Credential credential,
         std::string host_name, std::vector<TunnelRequest> tunnels);

  // Hello goes out with the first take_output().
  // An error ends the session, and stays: the relay's Failure (BAD_TOKEN, REVOKED, …), or PROTOCOL
  // or VERSION_MISMATCH with a Failure of ours queued.
  Result<void> feed(Bytes in);
  std::string take_output();
  bool has_output() const { return !out_.empty(); }
  bool welcomed() const { return state_ == State::welcomed; }
  // Asks once more for a tunnel that was refused, as it says now; with the next index free, for
  // one more.
  void bind(std::size_t index, const TunnelRequest& tunnel);
  void unbind(const std::string& tunnel);
  // `failure`: why the service behind a bound tunnel is not well; null: it is.
  void health(const std::string& tunnel, const Error* failure);
  // Gives all tunnels back; the relay closes the session when its visitors have everything.
  void leave();

 private:
  enum class State : std::uint8_t { greeting, welcomed, failed };

  void on_message(const proto::Control& message);
  void on_welcome(const proto::Welcome& welcome);
  bool may_ask(const TunnelRequest& tunnel) const;
  bool ask(std::size_t index);
  void on_bound(const proto::Bound& bound);
  void fail(Code code, std::string_view text);

  ClientEvents& events_;
  std::vector<TunnelRequest> tunnels_;
  std::map<std::uint32_t, std::size_t> asked_;  // the Binds without a Bound, and for which tunnel
  std::uint32_t last_request_ = 0;
  MessageReader reader_;
  std::string out_;
  State state_ = State::greeting;
  bool enforces_policies_ = false;  // the relay
  Error error_{Code::PROTOCOL, {}};
};

}  // namespace leat::control
