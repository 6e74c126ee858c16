#include "load/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace leat::bench {
namespace {

bool to_sockaddr(const HostPort& address, sockaddr_in& out) {
  out = {};
  out.sin_family = AF_INET;
  out.sin_port = htons(address.port);
  if (::inet_pton(AF_INET, address.host.c_str(), &out.sin_addr) == 1) return true;
  errno = EINVAL;
  return false;
}

template <typename Use>
int with_socket(const HostPort& address, Use use) {
  sockaddr_in target;
  if (!to_sockaddr(address, target)) return -1;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (use(fd, reinterpret_cast<const sockaddr*>(&target)) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

}  // namespace

Socket::~Socket() { ::close(fd_); }

bool wait_readable(int fd) {
  pollfd item{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&item, 1, 10'000) == 1;
}

void prepare(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int listen_on(const HostPort& address) {
  return with_socket(address, [](int fd, const sockaddr* target) {
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, target, sizeof(sockaddr_in)) != 0) return -1;
    prepare(fd);
    return ::listen(fd, 4096);
  });
}

int connect_to(const HostPort& address) {
  const int connected = with_socket(address, [](int fd, const sockaddr* target) {
    return ::connect(fd, target, sizeof(sockaddr_in));
  });
  if (connected >= 0) prepare(connected);
  return connected;
}

int begin_connect(const HostPort& address) {
  return with_socket(address, [](int fd, const sockaddr* target) {
    prepare(fd);
    const int result = ::connect(fd, target, sizeof(sockaddr_in));
    return result == 0 || errno == EINPROGRESS ? 0 : -1;
  });
}

HostPort bound_address(int fd) {
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
  char text[INET_ADDRSTRLEN] = "";
  ::inet_ntop(AF_INET, &bound.sin_addr, text, sizeof text);
  return {text, ntohs(bound.sin_port)};
}

}  // namespace leat::bench
