// What the kernel knows of a TCP connection's path, read for SendGovernor, and the choice of a
// congestion control beneath it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "net/send_governor.h"

namespace leat::net {

// Congestion controls, each asked for after those before it.
enum class Control : std::uint8_t {
  none,
  // reno, whose slow start (RFC 5681 §3.1) goes on until something is lost. cubic's leaves it at
  // the first few ms of queue (HyStart, Ha and Rhee 2011), though they be somebody else's, and then
  // needs tens of seconds to get a share beside him. What it would send too much alone on a path
  // the governor holds back.
  slow_start,
  // Then cubic, or else reno: the governor needs nothing but a window and its losses, and bbr stops
  // sending every ten seconds to measure what it already knows.
  window,
  // For a path that loses packets whatever is sent.
  bbr,
};
// What a connection should be under. Without a governor nothing holds a slow start back.
Control wanted_control(bool governed, bool slow_start, bool lossy);
// False: the kernel does not lend it to this process (net.ipv4.tcp_allowed_congestion_control), or
// `fd` is not TCP; the one before stays.
bool use_control(int fd, Control control);

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
