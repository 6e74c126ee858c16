// A socket address as the kernel gives and takes it, and as people read it.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>

#include "base/address.h"

namespace leat::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }

  // An IPv4 address in IPv6 clothes is shown as IPv4; a socket pair has the host "local" and port
  // 0.
  HostPort host_port() const;

  // Of an address written in digits; nullopt for a name.
  static std::optional<SocketAddress> numeric(const HostPort& address);
  static SocketAddress of(const sockaddr* address, socklen_t size);
  static SocketAddress local(int fd);
  static SocketAddress peer(int fd);
};

// For counting: an address, or of an IPv6 address its /64, all of which one customer has most often
// (RFC 6177).
std::string network_of(const std::string& host);

}  // namespace leat::net
