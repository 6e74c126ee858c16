// A service behind the agent: a plain TCP listener whose connections do what the test says.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/loop.h"
#include "net/socket.h"
#include "net/tls.h"
#include "net/transport.h"

namespace leat::agent {

class Origin;

class OriginConnection final : private net::TransportOwner {
 public:
  OriginConnection(Origin& origin, std::unique_ptr<net::Transport> transport);
  ~OriginConnection() { transport_->set_owner(nullptr); }

  std::string received;  // the handler erases what it has dealt with
  bool ended = false;    // FIN from the agent …
  bool failed = false;   // … or a cut
  bool gone() const { return ended || failed; }
  bool paused = false;  // reads nothing

  void send(std::string_view text);
  void finish() { transport_->finish(); }
  void cut() { transport_->abort(); }
  void resume();

 private:
  void on_transport() override;
  void flush();

  Origin& origin_;
  std::unique_ptr<net::Transport> transport_;
  std::string to_send_;
};

class Origin {
 public:
  // Called after every read and at the end; `received` holds what is not yet dealt with.
  using Handler = std::function<void(OriginConnection&)>;

  Origin(net::Loop& loop, Handler handler, const net::TlsContext* tls = nullptr);

  HostPort address() const { return listener_->address(); }
  void stop_listening() { listener_.reset(); }

  net::Loop& loop;
  Handler handler;
  std::vector<std::unique_ptr<OriginConnection>> connections;  // all so far
  bool pause_new = false;

 private:
  std::unique_ptr<net::Listener> listener_;
};

// A handler that waits for a whole head, hands it over and forgets it.
Origin::Handler on_head(std::function<void(OriginConnection&, const std::string& head)> answer);

}  // namespace leat::agent
