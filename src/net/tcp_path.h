// What the kernel knows of a TCP connection's path, read for SendGovernor, and the choice of a
// congestion control beneath it.
#pragma once

#include <optional>

#include "base/time.h"
#include "net/send_governor.h"

namespace leat::net {

// Asks for bbr, which goes on through loss. False: the kernel does not lend it to this process
// (net.ipv4.tcp_allowed_congestion_control), or `fd` is not TCP.
bool use_bbr(int fd);
// Asks for one that only a window and its losses steer, cubic or else reno: the governor needs no
// other, and bbr stops sending every ten seconds to measure what the governor already knows. False:
// the system's own stays.
bool use_window_control(int fd);

// nullopt: not a connected TCP socket. Three system calls.
std::optional<PathSample> read_path(int fd, Time now);

}  // namespace leat::net
