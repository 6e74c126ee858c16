#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "net/socket.h"
#include "net/socket_address.h"

namespace leat::net {
namespace {

constexpr int kBacklog = 4096;      // the kernel lowers it to somaxconn
constexpr int kAcceptsAtOnce = 64;  // before the shard looks at others
constexpr auto kPause = std::chrono::milliseconds(500);

class SocketListener final : public Listener, private Watched, private Deferred {
 public:
  SocketListener(Shard& shard, Fd fd, OnAccept on_accept)
      : shard_(shard),
        fd_(std::move(fd)),
        on_accept_(std::move(on_accept)),
        pause_(shard, [this] { accept_some(); }) {}
  ~SocketListener() override { shard_.unwatch(*this); }

  bool watch() { return shard_.watch(fd_.get(), *this); }
  HostPort address() const override { return SocketAddress::local(fd_.get()).host_port(); }
  Result<std::unique_ptr<Listener>> share(Shard& shard, OnAccept on_accept) const override;
  void stop() override { ::shutdown(fd_.get(), SHUT_RD); }

 private:
  void on_ready() override {
    if (!pause_.armed()) accept_some();
  }
  void on_deferred() override { accept_some(); }
  void accept_some();

  Shard& shard_;
  Fd fd_;
  OnAccept on_accept_;
  Timer pause_;
};

void SocketListener::accept_some() {
  for (int left = kAcceptsAtOnce; readable(); --left) {
    if (left == 0) return shard_.defer(*this);
    Fd accepted(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted) {
      const int on = 1;
      ::setsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      keep_alive(accepted.get());
      on_accept_(std::move(accepted));
      continue;
    }
    switch (errno) {
      case EAGAIN:
        clear_readable();
        return;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        // The connection stays in the queue and no edge announces it again.
        return pause_.arm_in(kPause);
      default:
        // Faults of the one connection (accept(2), "Error handling"): on to the next.
        break;
    }
  }
}

// Edge-triggered, both shards are told of a connection, and the one that comes first has it:
// whoever is idle, rather than whoever the addresses' hash chooses (SO_REUSEPORT).
Result<std::unique_ptr<Listener>> SocketListener::share(Shard& shard, OnAccept on_accept) const {
  Fd fd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return fail(Code::LISTEN, std::generic_category().message(errno));
  auto listener = std::make_unique<SocketListener>(shard, std::move(fd), std::move(on_accept));
  if (!listener->watch()) return fail(Code::LISTEN, std::generic_category().message(errno));
  return listener;
}

Result<Fd> bind_and_listen(const SocketAddress& address, const HostPort& named) {
  const auto refuse = [&named] {
    return fail(Code::LISTEN, named.text() + ": " + std::generic_category().message(errno));
  };
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return refuse();
  const int on = 1, off = 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // [::] takes IPv4 as well, whatever the system's default.
  if (address.family() == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (::bind(fd.get(), address.get(), address.size) != 0) return refuse();
  if (::listen(fd.get(), kBacklog) != 0) return refuse();
  return fd;
}

// A name is resolved here and now: listeners are opened while starting.
Result<SocketAddress> resolve(const HostPort& address) {
  if (const auto numeric = SocketAddress::numeric(address)) return *numeric;
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) return fail(Code::LISTEN, address.text() + ": " + ::gai_strerror(error));
  const SocketAddress first = SocketAddress::of(found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return first;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(Shard& shard, const HostPort& address,
                                                 OnAccept on_accept) {
  const auto resolved = resolve(address);
  if (!resolved) return tl::unexpected(resolved.error());
  auto fd = bind_and_listen(*resolved, address);
  if (!fd) return tl::unexpected(fd.error());
  auto listener = std::make_unique<SocketListener>(shard, std::move(*fd), std::move(on_accept));
  if (!listener->watch()) {
    return fail(Code::LISTEN, address.text() + ": " + std::generic_category().message(errno));
  }
  return listener;
}

}  // namespace leat::net
