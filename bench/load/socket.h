// Listening and connecting for the load generator: numeric addresses, TCP_NODELAY everywhere,
// non-blocking once they are there.
#pragma once

#include "base/address.h"

namespace leat::bench {

// Closes what it holds.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  bool wait_readable() const;  // false after ten seconds

 private:
  int fd_;
};

// Descriptors, owned by the caller; -1 with errno set.
int listen_on(const HostPort& address);
int connect_to(const HostPort& address);  // blocks until it is connected
HostPort bound_address(int fd);
void prepare(int fd);  // non-blocking, TCP_NODELAY

}  // namespace leat::bench
