#include "net/socket_transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace leat::net {

SocketTransport::SocketTransport(Shard& shard, int fd)
    : shard_(&shard), fd_(fd), peer_(SocketAddress::peer(fd).host_port()) {}

SocketTransport::~SocketTransport() {
  if (shard_ != nullptr) shard_->unwatch(*this);
}

bool SocketTransport::leave() {
  owner_ = nullptr;
  shard_->unwatch(*this);
  shard_ = nullptr;
  return true;
}

bool SocketTransport::join(Shard& shard) {
  shard_ = &shard;
  return !fd_ || watch();
}

void SocketTransport::abort() {
  if (!fd_) return;
  fail(Code::CARRIER_CUT, "given up");
  shard_->unwatch(*this);
  reset_on_close();
  fd_.reset();
}

std::string SocketTransport::peer() const { return peer_.port == 0 ? peer_.host : peer_.text(); }

IoResult SocketTransport::receive(MutableBytes into) {
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (n > 0) {
      const auto got = static_cast<std::size_t>(n);
      // Short: the next byte, or FIN, brings an edge, unless that edge has been reported already.
      if (got < into.size() && !hung_up()) clear_readable();
      ++counters_.receives;
      counters_.received += got;
      return {IoStatus::ok, got};
    }
    if (n == 0) {
      // A send that met the reset has taken the error with it, and recv then shows an end.
      return {failed_ ? IoStatus::failed : IoStatus::end};
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      clear_readable();
      return {IoStatus::would_block};
    }
    fail_with_errno();
    return {IoStatus::failed};
  }
}

IoResult SocketTransport::send(std::span<const iovec> from, bool more) {
  std::size_t total = 0;
  for (const iovec& piece : from) total += piece.iov_len;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(from.data());
  message.msg_iovlen = from.size();
  for (;;) {
    const ssize_t n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (n > 0) {
      const auto sent = static_cast<std::size_t>(n);
      if (sent < total) clear_writable();
      held_back_ = more;
      ++counters_.sends;
      counters_.sent += sent;
      return {IoStatus::ok, sent};
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) {
      fail_with_errno();
      return {IoStatus::failed};
    }
    clear_writable();
    return {IoStatus::would_block};
  }
}

// Setting TCP_NODELAY, which is set already, sends what was kept back (tcp(7)).
void SocketTransport::push() {
  if (!std::exchange(held_back_, false) || !fd_) return;
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void SocketTransport::shut_down() { ::shutdown(fd_.get(), SHUT_WR); }

void SocketTransport::reset_on_close() {
  const linger at_once{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void SocketTransport::fail(Code code, std::string detail) {
  if (failed_) return;
  failed_ = true;
  error_ = Error{code, peer() + ": " + std::move(detail)};
}

void SocketTransport::fail_with_errno() {
  fail(Code::CARRIER_CUT, std::generic_category().message(errno));
}

}  // namespace leat::net
