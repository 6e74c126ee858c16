// What the kernel knows of a TCP connection's path, read for SendGovernor, and the choice of a
// congestion control that keeps queues short by itself.
#pragma once

#include <optional>

#include "base/time.h"
#include "net/send_governor.h"

namespace leat::net {

// Asks for bbr. False: the kernel does not lend it to this process
// (net.ipv4.tcp_allowed_congestion_control), or `fd` is not TCP.
bool use_bbr(int fd);

// nullopt: not a connected TCP socket. Three system calls.
std::optional<PathSample> read_path(int fd, Time now);

}  // namespace leat::net
