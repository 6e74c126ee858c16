// Standard input and output as one socket, so that what speaks to a program by pipes (ssh's
// ProxyCommand) is a connection like any other. Two threads copy; nothing else here has threads.
#pragma once

#include "base/error.h"
#include "net/socket.h"

namespace leat::connect {

class Stdio {
 public:
  // LISTEN: no socket to be had.
  static Result<net::Fd> open();
  // Once the socket has been closed: waits until everything is on standard output.
  static void drain();
};

}  // namespace leat::connect
