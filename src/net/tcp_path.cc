#include "net/tcp_path.h"

#include <linux/sockios.h>
#include <linux/tcp.h>  // has tcpi_bytes_acked, which <netinet/tcp.h> lacks; the two exclude each other
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace leat::net {

namespace {

bool use(int fd, std::string_view name) {
  return ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(),
                      static_cast<socklen_t>(name.size())) == 0;
}

}  // namespace

bool use_bbr(int fd) { return use(fd, "bbr"); }

bool use_window_control(int fd) { return use(fd, "cubic") || use(fd, "reno"); }

std::optional<PathSample> TcpPath::read(int fd, std::uint64_t written, Time now) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_min_rtt)) {
    return std::nullopt;
  }
  if (!before_) {
    int queued = 0;
    if (::ioctl(fd, SIOCOUTQ, &queued) != 0) return std::nullopt;
    before_ = static_cast<std::uint64_t>(queued) + info.tcpi_bytes_acked - written;
  }
  const std::uint64_t outstanding = *before_ + written - info.tcpi_bytes_acked;
  // Behind a hole nothing is acknowledged, though it has arrived; what is lost is on the wire only
  // once it has been sent again.
  const std::uint64_t arrived = std::uint64_t{info.tcpi_sacked} * info.tcpi_snd_mss;
  const std::uint64_t lost = std::uint64_t{info.tcpi_lost} * info.tcpi_snd_mss;
  const std::uint64_t again = std::uint64_t{info.tcpi_retrans} * info.tcpi_snd_mss;
  const std::uint64_t queued = outstanding + std::min(again, lost);
  return PathSample{.at = now,
                    .acked = info.tcpi_bytes_acked + arrived,
                    .outstanding = queued - std::min(queued, arrived + lost),
                    .unsent = info.tcpi_notsent_bytes,
                    .rtt = std::chrono::microseconds(info.tcpi_rtt),
                    .resent = info.tcpi_total_retrans};
}

}  // namespace leat::net
