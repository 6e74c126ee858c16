#include "net/socket.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "net/socket_address.h"

namespace leat::net {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void keep_alive(int fd) {
  const int on = 1, idle = 60, interval = 15, count = 4;  // seconds
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

HostPort SocketAddress::host_port() const {
  std::array<char, NI_MAXHOST> text{};
  if (family() == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    const std::uint16_t port = ntohs(v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
      return {text.data(), port};
    }
    // With the zone of a link-local address.
    ::getnameinfo(get(), size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
    return {text.data(), port};
  }
  if (family() == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return {text.data(), ntohs(v4.sin_port)};
  }
  return {"local", 0};
}

std::optional<SocketAddress> SocketAddress::numeric(const HostPort& address) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) !=
      0) {
    return std::nullopt;
  }
  const SocketAddress result = of(found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return result;
}

SocketAddress SocketAddress::of(const sockaddr* address, socklen_t size) {
  SocketAddress result;
  result.size = size;
  std::memcpy(&result.storage, address, size);
  return result;
}

SocketAddress SocketAddress::local(int fd) {
  SocketAddress result;
  ::getsockname(fd, result.get(), &result.size);
  return result;
}

SocketAddress SocketAddress::peer(int fd) {
  SocketAddress result;
  ::getpeername(fd, result.get(), &result.size);
  return result;
}

std::string network_of(const std::string& host) {
  std::array<char, 16> bytes;
  if (::inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return host;
  return {bytes.data(), 8};
}

}  // namespace leat::net
