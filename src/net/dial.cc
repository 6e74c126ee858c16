#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "net/resolver.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace leat::net {
namespace {

constexpr auto kStagger = std::chrono::milliseconds(250);  // RFC 8305 §8
constexpr std::size_t kAddresses = 16;                     // of one name, at most

// The families take turns, beginning with that of the resolver's first choice (RFC 8305 §4).
std::vector<SocketAddress> interleave(std::vector<SocketAddress> sorted) {
  if (sorted.empty()) return sorted;
  const int first = sorted.front().family();
  std::vector<SocketAddress> result, other;
  for (auto& address : sorted) (address.family() == first ? result : other).push_back(address);
  for (std::size_t i = 0; i < other.size(); ++i) {
    result.insert(result.begin() + std::min(2 * i + 1, result.size()), other[i]);
  }
  if (result.size() > kAddresses) result.resize(kAddresses);
  return result;
}

// A connect() to a free port of the ephemeral range can meet itself (simultaneous open, RFC 9293
// §3.5).
bool met_itself(int fd) {
  const SocketAddress local = SocketAddress::local(fd), peer = SocketAddress::peer(fd);
  return local.size == peer.size && std::memcmp(&local.storage, &peer.storage, local.size) == 0;
}

Code code_of(int error) {
  switch (error) {
    case ECONNREFUSED:
      return Code::SERVICE_REFUSED;
    case ETIMEDOUT:
      return Code::SERVICE_TIMEOUT;
    default:
      return Code::SERVICE_UNREACHABLE;
  }
}

// Of several addresses' failures, the one that says most about the service is told.
int rank(Code code) {
  return code == Code::SERVICE_REFUSED ? 2 : code == Code::SERVICE_TIMEOUT ? 1 : 0;
}

class SocketDial final : public Dial, private Deferred, private Resolver {
 public:
  SocketDial(Shard& shard, const HostPort& address, Duration timeout, OnDone on_done);

 private:
  // One connect() under way.
  class Attempt final : private Watched {
   public:
    Attempt(SocketDial& dial, const SocketAddress& address) : dial_(dial), address_(address) {}
    ~Attempt() override { dial_.shard_.unwatch(*this); }
    // 0, EINPROGRESS or what failed.
    int start();
    Fd take();
    const SocketAddress& address() const { return address_; }

   private:
    void on_ready() override;

    SocketDial& dial_;
    const SocketAddress address_;
    Fd fd_;
  };

  void on_resolved(std::vector<SocketAddress> addresses, const std::string& why) override;
  void on_deferred() override { try_next(); }
  void try_next();
  void on_attempt(Attempt& attempt, int error);
  void note(const SocketAddress& address, int error);
  void done(Result<Fd> result);  // may destroy this

  Shard& shard_;
  const HostPort address_;
  OnDone on_done_;
  Timer timeout_;
  Timer stagger_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  Error error_;
};

SocketDial::SocketDial(Shard& shard, const HostPort& address, Duration timeout, OnDone on_done)
    : shard_(shard),
      address_(address),
      on_done_(std::move(on_done)),
      timeout_(shard,
               [this] {
                 done(fail(Code::SERVICE_TIMEOUT, address_.text() + ": no connection in time"));
               }),
      stagger_(shard, [this] { try_next(); }),
      error_{Code::SERVICE_UNREACHABLE, address.text() + ": the name has no address"} {
  timeout_.arm_in(timeout);
  if (const auto numeric = SocketAddress::numeric(address)) {
    addresses_.push_back(*numeric);
    shard_.defer(*this);
  } else {
    ask(shard, address.host, address.port);
  }
}

void SocketDial::on_resolved(std::vector<SocketAddress> addresses, const std::string& why) {
  if (addresses.empty()) error_.detail = address_.text() + ": " + why;
  addresses_ = interleave(std::move(addresses));
  shard_.defer(*this);
}

void SocketDial::try_next() {
  if (!on_done_) return;  // it timed out in this very batch
  while (next_ < addresses_.size()) {
    const SocketAddress& address = addresses_[next_++];
    auto attempt = std::make_unique<Attempt>(*this, address);
    const int error = attempt->start();
    if (error == 0) return done(attempt->take());
    if (error == EINPROGRESS) {
      attempts_.push_back(std::move(attempt));
      if (next_ < addresses_.size()) stagger_.arm_in(kStagger);
      return;
    }
    note(address, error);
  }
  if (attempts_.empty()) done(tl::unexpected(error_));
}

void SocketDial::on_attempt(Attempt& attempt, int error) {
  if (error == 0) return done(attempt.take());
  note(attempt.address(), error);
  std::erase_if(attempts_, [&attempt](const auto& one) { return one.get() == &attempt; });
  try_next();
}

void SocketDial::note(const SocketAddress& address, int error) {
  const Code code = code_of(error);
  if (rank(code) < rank(error_.code)) return;
  error_ = Error{code, address.host_port().text() + ": " + std::generic_category().message(error)};
}

void SocketDial::done(Result<Fd> result) {
  timeout_.disarm();
  stagger_.disarm();
  attempts_.clear();
  forget();
  const OnDone on_done = std::exchange(on_done_, nullptr);
  on_done(std::move(result));
}

int SocketDial::Attempt::start() {
  fd_ = Fd(::socket(address_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_) return errno;
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  keep_alive(fd_.get());
  if (::connect(fd_.get(), address_.get(), address_.size) == 0) {
    return met_itself(fd_.get()) ? ECONNREFUSED : 0;
  }
  if (errno != EINPROGRESS) return errno;
  return dial_.shard_.watch(fd_.get(), *this) ? EINPROGRESS : errno;
}

void SocketDial::Attempt::on_ready() {
  if (!writable()) return;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0 && met_itself(fd_.get())) error = ECONNREFUSED;
  dial_.on_attempt(*this, error);
}

Fd SocketDial::Attempt::take() {
  dial_.shard_.unwatch(*this);
  return std::move(fd_);
}

}  // namespace

std::unique_ptr<Dial> Dial::start(Shard& shard, const HostPort& address, Duration timeout,
                                  OnDone on_done) {
  return std::make_unique<SocketDial>(shard, address, timeout, std::move(on_done));
}

}  // namespace leat::net
