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

 private:
  int fd_;
};

// Descriptors, owned by the caller; -1 with errno set.
int listen_on(const HostPort& address);
int connect_to(const HostPort& address);     // blocks until it is connected
int begin_connect(const HostPort& address);  // does not; writable once it is, or has failed
bool wait_readable(int fd);                  // false after ten seconds
HostPort bound_address(int fd);
void prepare(int fd);  // non-blocking, TCP_NODELAY

}  // namespace leat::bench
