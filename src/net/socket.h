// Sockets: listening, dialling, and owning a descriptor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/address.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/time.h"
#include "net/shard.h"

namespace leat::net {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { reset(); }
  int get() const { return fd_; }
  int release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset();
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Has the kernel ask after two minutes of silence whether the other end is still there (a minute,
// then four questions): a pipe has no timeout of its own, and whoever is unplugged says nothing.
void keep_alive(int fd);

// A listening socket on a shard. Out of descriptors (EMFILE), it stops accepting and tries again
// every 500 ms, without a busy loop (threat 33).
class Listener {
 public:
  // Called with a connected, non-blocking, close-on-exec descriptor with TCP_NODELAY set. Must not
  // destroy the listener; give it to Shard::dispose.
  using OnAccept = std::function<void(Fd)>;
  // LEAT_LISTEN on failure. Port 0 lets the kernel choose; see address().
  static Result<std::unique_ptr<Listener>> open(Shard& shard, const HostPort& address,
                                                OnAccept on_accept);
  // Another shard accepts from the same socket: each connection goes to one of the two.
  virtual Result<std::unique_ptr<Listener>> share(Shard& shard, OnAccept on_accept) const = 0;
  // No connection is made any more. The one thing that any thread may do.
  virtual void stop() = 0;
  virtual ~Listener() = default;
  virtual HostPort address() const = 0;  // as bound
};

struct Proxy {
  HostPort address;
  Secret credentials;  // "user:password", or empty
};

// Resolves (net/resolver.h) and connects, trying the addresses in order, 250 ms apart
// (RFC 8305). Destroying it cancels; the callback is called at most once, never from inside dial().
class Dial {
 public:
  using OnDone = std::function<void(Result<Fd>)>;  // SERVICE_REFUSED, _TIMEOUT or _UNREACHABLE
  static std::unique_ptr<Dial> start(Shard& shard, const HostPort& address, Duration timeout,
                                     OnDone on_done);
  // The same through an HTTP proxy, by CONNECT (RFC 9110 §9.3.6); the proxy resolves the name.
  // LEAT_PROXY_REFUSED if it will not, what start() says if the proxy itself is not reached.
  static std::unique_ptr<Dial> start_through(Shard& shard, const Proxy& proxy,
                                             const HostPort& address, Duration timeout,
                                             OnDone on_done);
  virtual ~Dial() = default;
};

// Full jitter: a random time up to a bound that is 0 for the first try, grows to 2 s while the
// outage has lasted less than 5 s, and doubles to 15 s after (design: carriers).
class Backoff {
 public:
  // The delay before the next try. `now` is the time of the failure.
  Duration next(Time now);
  void succeeded();
  // A try had brought a connection, which has now ended after `time`. One of 5 s or more has shown
  // that the other side is well: as succeeded(). A shorter one that was cut begins the outage anew,
  // so that no wait exceeds two seconds for its first five; after the first of several the bound is
  // what it was, that there is no hot loop, and after twenty no more is: what comes back together
  // may be what the other side dies of. Of those that it has closed only the first does: whoever
  // lets everybody in and throws everybody out is asked as seldom as whoever is away.
  enum class End : std::uint8_t { cut, closed };
  void lived(Duration time, End end, Time now);

 private:
  Time since_ = kNever;  // when the outage began
  Duration bound_{0};
  int begun_anew_ = 0;  // so often, by short connections since the last long one
};

}  // namespace leat::net
