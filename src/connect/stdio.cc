#include "connect/stdio.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>
#include <utility>

namespace leat::connect {
namespace {

std::thread output;

bool write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

void copy(int from, int to) {
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n = ::read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || !write_all(to, buffer.data(), static_cast<std::size_t>(n))) return;
  }
}

}  // namespace

Result<net::Fd> Stdio::open() {
  std::array<int, 2> ends;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail(Code::LISTEN, "standard input and output");
  }
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const int far = ends[1];
  // Input may never end: nobody waits for it.
  std::thread([far] {
    copy(STDIN_FILENO, far);
    ::shutdown(far, SHUT_WR);
  }).detach();
  output = std::thread([far] {
    copy(far, STDOUT_FILENO);
    ::close(STDOUT_FILENO);
    ::shutdown(far, SHUT_RDWR);
  });
  return net::Fd(ends[0]);
}

void Stdio::drain() {
  if (output.joinable()) output.join();
}

}  // namespace leat::connect
