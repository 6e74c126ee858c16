#include "interop/yamux_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>

extern char** environ;

namespace leat::mux::interop {
namespace {

using namespace std::chrono_literals;

Time now() { return std::chrono::steady_clock::now(); }

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

}  // namespace

Produced PatternSource::produce(MutableBytes out) {
  const std::size_t n = std::min(out.size(), total - sent);
  if (n == 0) return ends ? Produced::end() : Produced::not_ready();
  for (std::size_t i = 0; i < n; ++i) out[i] = content(seed, sent + i);
  sent += n;
  return Produced::bytes(n);
}

std::size_t PatternSink::deliver(Bytes data) {
  const std::size_t n = std::min(room, data.size());
  for (std::size_t i = 0; i < n; ++i) correct = correct && data[i] == content(seed, received + i);
  received += n;
  if (room != SIZE_MAX) room -= n;
  return n;
}

Produced Echo::produce(MutableBytes out) {
  const std::size_t n = std::min(out.size(), held.size());
  if (n == 0) return ended ? Produced::end() : Produced::not_ready();
  std::copy_n(held.begin(), n, out.begin());
  held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(n));
  session.resume(stream);
  return Produced::bytes(n);
}

std::size_t Echo::deliver(Bytes data) {
  constexpr std::size_t kMost = 64 * 1024;
  const std::size_t n = std::min(data.size(), kMost - std::min(kMost, held.size()));
  held.insert(held.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(n));
  session.wake(stream);
  return n;
}

void Echo::end() {
  ended = true;
  session.wake(stream);
}

YamuxPeer::YamuxPeer(std::vector<std::string> command, const Config& config,
                     const std::string& scenario, std::vector<std::string> flags, std::size_t chunk)
    : session_(config, *this, now()), chunk_(chunk) {
  // We are the yamux client or the server; who dials has nothing to do with it.
  command.insert(command.end(), {"-role", config.role == Role::client ? "server" : "client",
                                 "-scenario", scenario});
  command.insert(command.end(), flags.begin(), flags.end());
  start(std::move(command));
}

void YamuxPeer::start(std::vector<std::string> args) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  require(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
              ::listen(listener, 1) == 0 &&
              ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0,
          "listen");

  int in[2], out[2];
  require(::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0, "pipe");
  args.insert(args.end(), {"-addr", "127.0.0.1:" + std::to_string(ntohs(address.sin_port))});
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  const int spawned = ::posix_spawnp(&child_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  to_child_ = in[1];
  from_child_ = out[0];
  require(spawned == 0, "the peer program did not start");

  pollfd wait{listener, POLLIN, 0};
  require(::poll(&wait, 1, 30'000) == 1, "the peer did not connect");
  socket_ = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  ::close(listener);
  require(socket_ >= 0, "accept");
  const int one = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

YamuxPeer::~YamuxPeer() {
  hang_up();
  ::close(to_child_);
  ::close(from_child_);
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
}

void YamuxPeer::hang_up() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

// One turn: what the kernel takes, what it gives, and what time brings.
void YamuxPeer::move() {
  if (out_begin_ == out_.size()) {
    out_.resize(16381);
    out_.resize(session_.pull(out_, now()));
    out_begin_ = 0;
  }
  const double allowed = rate_ * std::chrono::duration<double>(now() - throttled_since_).count();
  const bool writes = out_begin_ < out_.size() && (rate_ == 0 || sent_ < allowed);
  const bool reads = rate_ == 0 || received_ < allowed;
  pollfd wait{socket_, static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0};
  const Duration left = session_.next_deadline() - now();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
  ::poll(&wait, 1, static_cast<int>(std::clamp<long long>(ms, 0, rate_ == 0 ? 100 : 1)));

  if (writes && (wait.revents & POLLOUT) != 0) {
    const std::size_t n = std::min(chunk_, out_.size() - out_begin_);
    const ssize_t sent = ::send(socket_, out_.data() + out_begin_, n, MSG_NOSIGNAL);
    if (sent > 0) out_begin_ += static_cast<std::size_t>(sent);
    if (sent > 0) sent_ += static_cast<double>(sent);
  }
  if ((wait.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
    std::vector<std::uint8_t> in(chunk_);
    const ssize_t got = ::recv(socket_, in.data(), in.size(), 0);
    if (got > 0) {
      received_ += static_cast<double>(got);
      fatal = session_.feed(Bytes(in).first(static_cast<std::size_t>(got)), now());
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      ended = true;
    }
  }
  if (fatal == Fatal::none && session_.next_deadline() <= now())
    fatal = session_.on_deadline(now());
}

void YamuxPeer::throttle(double bytes_per_second) {
  rate_ = bytes_per_second;
  throttled_since_ = now();
  sent_ = received_ = 0;
}

bool YamuxPeer::run_until(const std::function<bool()>& done, Duration patience) {
  const Time give_up = now() + patience;
  while (!done()) {
    if (ended || fatal != Fatal::none || now() > give_up) return false;
    move();
  }
  return true;
}

bool YamuxPeer::round_trip() {
  if (!run_until([this] { return !session_.wants_pull() && out_begin_ == out_.size(); })) {
    return false;
  }
  const std::uint64_t before = session_.stats().frames_in;
  session_.ping(now());
  return run_until([&] { return session_.stats().frames_in > before; });
}

bool YamuxPeer::hear(const std::string& line) {
  std::string heard;
  return run_until([&] {
    pollfd wait{from_child_, POLLIN, 0};
    char c = 0;
    while (::poll(&wait, 1, 0) == 1 && ::read(from_child_, &c, 1) == 1) heard += c;
    return heard.find(line + "\n") != std::string::npos;
  });
}

void YamuxPeer::tell() { require(::write(to_child_, "\n", 1) == 1, "the peer is gone"); }

int YamuxPeer::finish() {
  int status = 0;
  const Time give_up = now() + 60s;
  while (::waitpid(child_, &status, WNOHANG) == 0) {
    if (now() > give_up) return -1;
    if (socket_ >= 0 && !ended && fatal == Fatal::none) {
      move();
    } else {
      ::poll(nullptr, 0, 1);
    }
  }
  child_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace leat::mux::interop
