// One try to be connected to the relay, and the session it becomes: dial, TLS, perhaps a WebSocket
// inside it, the link's handshake, the control stream, and the streams the relay opens. When it is
// over, a new one is made.
//
//   dialling ──▶ tls ──┬──────────────▶ handshake ──▶ session ──▶ lost
//       │         │    └▶ upgrading ──▶     │                       ▲
//       └─────────┴────────────┴────────────┴───────────────────────┘
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/control_stream.h"
#include "agent/stream.h"
#include "agent/stream_table.h"
#include "base/address.h"
#include "base/error.h"
#include "base/signature.h"
#include "control/client.h"
#include "net/link_handshake.h"
#include "net/session_driver.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/upgrade.h"

namespace leat::agent {

class Connection final : public StreamHost,
                         private net::TransportOwner,
                         private net::SessionDriver::Owner,
                         private ControlStream::Owner {
 public:
  class Owner : public control::ClientEvents {
   public:
    virtual std::shared_ptr<Egress> find_egress(std::string_view tunnel) = 0;
    virtual SealedGate* gate() = 0;
    // Called once, never from inside start(); give the connection to Shard::dispose.
    virtual void on_lost(const Error& why) = 0;

   protected:
    ~Owner() = default;
  };

  // All of it outlives the connection.
  struct Relay {
    const HostPort& address;
    const net::TlsContext* tls;  // nullptr: none, for a WebSocket to a proxy of one's own
    bool websocket;
    const std::optional<net::Proxy>& proxy;
    const SigningKey& identity;
    bool govern = true;  // see net::SessionDriver
  };

  Connection(net::Shard& shard, const Relay& relay, control::Client client, Owner& owner);
  ~Connection();

  void start();
  // Asks for a tunnel again that was refused, or with the next index for one more.
  void bind(std::size_t index, const control::TunnelRequest& tunnel);
  void unbind(const std::string& tunnel);
  void report_health(const std::string& tunnel, const Error* failure);
  // Asks the relay to send nobody any more and to end the session, which on_lost tells, when all
  // visitors have what is theirs.
  void leave();
  // Tells the relay why; on_lost follows with the same, at the latest after two seconds.
  void close(Code code, std::string_view text);

  bool verified() const { return verified_; }  // the relay's certificate is the one expected
  bool websocket() const { return relay_.websocket; }
  std::size_t streams() const { return streams_.size(); }
  net::SessionDriver* session() { return driver_.get(); }  // null before there is one

 private:
  // StreamHost
  net::SessionDriver& driver() override { return *driver_; }
  std::shared_ptr<Egress> find(std::string_view tunnel) override {
    return owner_.find_egress(tunnel);
  }
  SealedGate* gate() override { return owner_.gate(); }
  void retire(Stream& stream) override;
  void replace(Stream& from, std::unique_ptr<Stream> to) override;

  void on_dialled(Result<net::Fd> fd);
  void on_transport() override;
  bool begin();
  void send_early(std::string_view text);
  void upgrade(Bytes received);
  void shake_hands(Bytes received);
  void begin_session(Bytes surplus);
  void on_stream(mux::StreamHandle stream) override;
  void on_ended(const Error& why) override;
  void on_control_failed(const Error& why) override;
  void lost(const Error& why);

  net::Shard& shard_;
  const Relay relay_;
  Owner& owner_;
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<net::Transport> transport_;  // until the session has it
  std::string early_;                          // of the handshakes, not yet taken by the transport
  std::optional<net::ClientUpgrade> upgrade_;
  std::optional<net::ClientHandshake> handshake_;
  net::Timer deadline_;  // of TLS and the link's handshake
  ControlStream control_;
  std::unique_ptr<net::SessionDriver> driver_;
  StreamTable streams_;           // after the driver: they detach from it when they go
  std::optional<Error> failure_;  // what the control stream said, better than what the carrier will
  bool verified_ = false;
  bool lost_ = false;
};

}  // namespace leat::agent
