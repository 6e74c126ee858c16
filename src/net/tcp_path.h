// What the kernel knows of a TCP connection's path, read for SendGovernor, and the choice of a
// congestion control beneath it.
#pragma once

#include <cstdint>
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
// Makes cubic forget the window of its last loss, towards which it would grow; the window itself
// and what limits slow start stay. False, and nothing done: the connection has another control, or
// the kernel would not give cubic back.
bool restart_window_control(int fd);

// Asks the kernel again and again how one connection gets on. One system call: what is outstanding
// is what was written less what has been acknowledged.
class TcpPath {
 public:
  // `written`: bytes that the owner has handed to the kernel, counted from anywhere. nullopt: not a
  // connected TCP socket.
  std::optional<PathSample> read(int fd, std::uint64_t written, Time now);

 private:
  // To be added to `written` before acknowledged bytes are taken off: what somebody else wrote
  // earlier, and the SYN.
  std::optional<std::uint64_t> before_;
};

}  // namespace leat::net
