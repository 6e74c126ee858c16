// A connection of which nothing is known yet: who is behind it, where a proxy has to say so first,
// and what it wants, where that stands in the first message of TLS. Bytes are looked at in the
// kernel's buffer and stay there, but for a proxy's header: whoever gets the socket then, our TLS
// or a tunnel's service, finds the connection as it began, and until then it costs a socket and
// this (threat 15).
#pragma once

#include <cstddef>
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
    std::optional<Counted> waiting;   // where it is counted
    Time deadline = kNever;           // until then it is to have said what it wants
  };
  using OnOpen = std::function<void(Guest)>;

  // What comes first: with TLS on_open waits for a ClientHello, or for what cannot become one.
  enum class Door : std::uint8_t { tls, plain, tcp };

  // Whether connections from there begin with a PROXY header is the configuration's to say. on_open
  // is called at most once, perhaps from here.
  static void start(Context& context, net::Fd socket, Door door, OnOpen on_open);
  // One that was let in has begun to say something more, and waits again. False: as many wait as
  // may.
  static bool wait_again(Context& context, std::optional<Counted>& waiting,
                         const std::string& address, Door door);
  ~Knock() override;

 private:
  enum class Look : std::uint8_t { more, done, bad };

  Knock(Context& context, Guest guest, bool header, Door door, OnOpen on_open);

  static bool counted(Context& context, std::optional<Counted>& waiting, const std::string& address,
                      Door door);

  void on_ready() override;
  Look look();
  Look look_at_header(Bytes received);
  Look look_at_hello(Bytes received);
  void give_up(const char* why);

  Context& context_;
  Guest guest_;
  const Door door_;
  bool header_;  // still to come
  OnOpen on_open_;
  std::size_t wanted_ = 1;  // with fewer bytes there is nothing new to be seen
  net::Timer timer_;
  bool over_ = false;
};

}  // namespace leat::relay
