#include "net/tcp_path.h"

#include <linux/sockios.h>
#include <linux/tcp.h>  // has tcpi_bytes_acked, which <netinet/tcp.h> lacks; the two exclude each other
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "net/socket.h"

namespace leat::net {

namespace {

bool use(int fd, std::string_view name) {
  return ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(),
                      static_cast<socklen_t>(name.size())) == 0;
}

bool ask(int fd, tcp_info& info) {
  socklen_t size = sizeof info;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         size >= offsetof(tcp_info, tcpi_min_rtt);
}

constexpr int kTries = 16;  // of questions that are overtaken by an acknowledgement

}  // namespace

bool use_bbr(int fd) { return use(fd, "bbr"); }

bool use_window_control(int fd) { return use(fd, "cubic") || use(fd, "reno"); }

bool restart_window_control(int fd) {
  char name[16] = {};  // TCP_CA_NAME_MAX
  socklen_t size = sizeof name;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) != 0 ||
      std::string_view(name, ::strnlen(name, size)) != "cubic") {
    return false;
  }
  // To ask for what is there changes nothing, so another comes between. A connection may have from
  // its route what the kernel lends nobody: whether there is a way back is tried on another one.
  const Fd other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return use(other.get(), "reno") && use(other.get(), "cubic") && use(fd, "reno") &&
         use(fd, "cubic");
}

std::optional<PathSample> TcpPath::read(int fd, std::uint64_t written, Time now) {
  tcp_info info{};
  if (!ask(fd, info)) return std::nullopt;
  // What is acknowledged between the two questions would be counted twice, and for good.
  for (int tries = 0; !before_; ++tries) {
    int queued = 0;
    tcp_info then{};
    if (::ioctl(fd, SIOCOUTQ, &queued) != 0 || !ask(fd, then)) return std::nullopt;
    const bool still = then.tcpi_bytes_acked == info.tcpi_bytes_acked;
    if (still) before_ = static_cast<std::uint64_t>(queued) + info.tcpi_bytes_acked - written;
    if (!still && tries == kTries) {  // all has been acknowledged, as far as anybody can tell
      before_ = then.tcpi_bytes_acked - written;
    }
    info = then;
  }
  // Never less than nothing, whatever was first.
  const std::uint64_t all = *before_ + written;
  const std::uint64_t outstanding = all - std::min<std::uint64_t>(all, info.tcpi_bytes_acked);
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
                    .resent = info.tcpi_total_retrans,
                    .acknowledgements = info.tcpi_segs_in - info.tcpi_data_segs_in};
}

}  // namespace leat::net
