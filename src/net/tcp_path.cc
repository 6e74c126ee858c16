#include "net/tcp_path.h"

#include <linux/sockios.h>
#include <linux/tcp.h>  // has tcpi_bytes_acked, which <netinet/tcp.h> lacks; the two exclude each other
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstddef>

namespace leat::net {

bool use_bbr(int fd) {
  static constexpr char kName[] = "bbr";
  return ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kName, sizeof kName - 1) == 0;
}

std::optional<PathSample> read_path(int fd, Time now) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_bytes_received)) {
    return std::nullopt;
  }
  int outstanding = 0, unsent = 0;
  if (::ioctl(fd, SIOCOUTQ, &outstanding) != 0 || ::ioctl(fd, SIOCOUTQNSD, &unsent) != 0) {
    return std::nullopt;
  }
  return PathSample{.at = now,
                    .acked = info.tcpi_bytes_acked,
                    .outstanding = static_cast<std::size_t>(outstanding),
                    .unsent = static_cast<std::size_t>(unsent),
                    .rtt = std::chrono::microseconds(info.tcpi_rtt)};
}

}  // namespace leat::net
