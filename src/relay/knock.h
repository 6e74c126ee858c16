// A connection of which nothing is known yet: who is behind it, where a proxy has to say so first,
// and what it wants, where that stands in the first message of TLS. Bytes are looked at in the
// kernel's buffer and stay there, but for a proxy's header: whoever gets the socket then, our TLS
// or a tunnel's service, finds the connection as it began, and until then it costs a socket and
// this (threat 15).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/address.h"
#include "net/shard.h"
#include "net/socket.h"
#include "relay/context.h"

namespace leat::relay {

class Knock final : private net::Watched {
 public:
  struct Guest {
    net::Fd socket;
    std::optional<HostPort> visitor;  // whom a proxy speaks for
    std::string server_name;          // of the ClientHello; lower case
    std::optional<Waiting> waiting;   // of a connection that is to be TLS
    Time deadline = kNever;           // until then it is to have said what it wants
  };
  using OnOpen = std::function<void(Guest)>;

  // Whether connections from there begin with a PROXY header is the configuration's to say.
  // `tls`: on_open waits for a ClientHello, or for what cannot become one. Called at most once,
  // perhaps from here.
  static void start(Context& context, net::Fd socket, bool tls, OnOpen on_open);
  ~Knock() override;

 private:
  enum class Look : std::uint8_t { more, done, bad };

  Knock(Context& context, Guest guest, bool header, bool tls, OnOpen on_open);

  void on_ready() override;
  Look look();
  Look look_at_header(Bytes received);
  Look look_at_hello(Bytes received);
  void give_up(const char* why);

  Context& context_;
  Guest guest_;
  bool header_, tls_;  // still to come
  OnOpen on_open_;
  net::Timer timer_;
  bool over_ = false;
};

}  // namespace leat::relay
