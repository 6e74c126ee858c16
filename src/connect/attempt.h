// One way to an agent, tried: a relay's sealed door or an address of the agent's own, up to a
// channel whose other end has shown that it is the agent.
//
//   dialling ──▶ [tls ──▶ upgrading] ──▶ ready ──▶ asking ──▶ replied
//       └───────────────┴──────────────────┴──────────┴─────▶ failed
//
// Nothing of the device's is said before ask(): of several ways that are tried at once, a pairing
// goes by one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/address.h"
#include "connect/link.h"
#include "crypto/channel.h"
#include "crypto/handshake.h"
#include "net/shard.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/transport.h"
#include "net/upgrade.h"
#include "sealed/sealed_transport.h"

namespace leat::proto {
class SealedReply;
}

namespace leat::connect {

// Who asks, and by what right.
struct Credential {
  const crypto::KeyPair& own;
  std::string device;                  // its name
  std::optional<std::string> pairing;  // the id of a link that is to be used now …
  Secret secret;                       // … and its secret
  crypto::Suite suite = crypto::Suite::aesgcm;
  bool padding = false;
};

class Attempt final : private net::TransportOwner {
 public:
  class Owner {
   public:
    virtual void on_ready(Attempt& attempt) = 0;
    // take() and reply() have what came.
    virtual void on_replied(Attempt& attempt) = 0;
    virtual void on_failed(Attempt& attempt, const Error& why) = 0;

   protected:
    ~Owner() = default;
  };

  struct Way {
    HostPort address;
    const net::TlsContext* tls = nullptr;  // of a relay; null: plain
    std::string tunnel;                    // at a relay; empty: directly
    std::optional<net::Proxy> proxy;       // in front of the relay
    std::string text() const;              // "relay relay.example.com:443", "direct 192.0.2.7:4443"
  };

  Attempt(net::Shard& shard, Way way, const Agent& agent, const Credential& credential,
          Owner& owner);
  ~Attempt();

  void start();
  void ask();
  const Way& way() const { return way_; }
  // Whether the agent, or what stands in its place, has said something that is worth telling.
  bool asked() const { return asked_; }

  std::unique_ptr<sealed::SealedTransport> take() { return std::move(sealed_); }
  const proto::SealedReply& reply() const { return *reply_; }

 private:
  enum class State : std::uint8_t { dialling, preparing, ready, asking, replied, failed };

  void on_dialled(Result<net::Fd> fd);
  void on_transport() override;
  void begin_upgrade();
  void upgrade(Bytes received);
  void become_ready();
  void read_reply();
  void take_reply(Bytes message, Bytes surplus);
  void send(std::string_view text);
  void failed(Code code, std::string detail);

  net::Shard& shard_;
  const Way way_;
  const Agent& agent_;
  const Credential& credential_;
  Owner& owner_;
  State state_ = State::dialling;
  bool asked_ = false;
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<net::Transport> transport_;
  std::string out_, held_;
  std::optional<net::ClientUpgrade> upgrade_;
  std::optional<crypto::Handshake> handshake_;
  std::unique_ptr<proto::SealedReply> reply_;
  std::unique_ptr<sealed::SealedTransport> sealed_;
  net::Timer deadline_;
};

}  // namespace leat::connect
