#include "cli/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "base/limits.h"
#include "base/log.h"

namespace leat::cli {
namespace {

// The contract says "ends within 30 s"; this leaves time to end.
constexpr auto kDrainLimit = limits::kDrain - std::chrono::seconds(1);

sigset_t handled_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
  return set;
}

bool has_terminal() {
  const net::Fd terminal(::open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY));
  return static_cast<bool>(terminal);
}

// A closed terminal ends what was started from it, unless that was asked to stay (nohup ignores
// HUP); to a service without a terminal HUP says that its files have changed.
bool ends_with_terminal() {
  struct sigaction action;
  if (::sigaction(SIGHUP, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) return false;
  return has_terminal();
}

}  // namespace

std::size_t take_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlimit most{limit.rlim_max, limit.rlim_max};
  return ::setrlimit(RLIMIT_NOFILE, &most) == 0 ? most.rlim_cur : limit.rlim_cur;
}

int exit_code(Code code) {
  switch (code) {
    case Code::USAGE:
    case Code::CONFIG:
    case Code::CONFIG_FILE:
    case Code::NO_TOKEN:
    case Code::BAD_TUNNEL_ID:
    case Code::NAME_IS_PUBLIC:
    case Code::BAD_HOST:
    case Code::BAD_POLICY:
    case Code::PORT_REFUSED:
    case Code::TUNNEL_REFUSED:
    case Code::KEY_FILE:
      return kExitUsage;
    case Code::BAD_TOKEN:
    case Code::BAD_IDENTITY:
    case Code::BAD_JWT:
    case Code::JWT_EXPIRED:
    case Code::BAD_CODE:
    case Code::WRONG_IDENTITY:
    case Code::REVOKED:
    case Code::REPLACED:  // started again, each of the two would end the other
      return kExitRefused;
    default:
      return kExitFailed;
  }
}

int report(const Error& error) {
  std::fprintf(stderr, "%s\n", error.text().c_str());
  return exit_code(error.code);
}

void take_signals() {
  const sigset_t set = handled_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

Daemon::Daemon(net::Shard& shard)
    : shard_(shard), limit_(shard, [this] {
        log::warn("drain_cut", {{"after_s", std::chrono::seconds(kDrainLimit).count()}});
        end(exit_code_);
      }) {
  hangup_ends_ = ends_with_terminal();
  const sigset_t set = handled_signals();
  signals_ = net::Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  shard_.watch(signals_.get(), *this);
}

int Daemon::run(Drain drain, std::function<void()> reload) {
  drain_ = std::move(drain);
  reload_ = std::move(reload);
  shard_.run();
  return exit_code_;
}

void Daemon::end(int code) {
  exit_code_ = code;
  shard_.stop();
}

void Daemon::on_ready() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    on_signal(static_cast<int>(info.ssi_signo));
  }
  clear_readable();
}

void Daemon::on_signal(int number) {
  if (number == SIGHUP && (!hangup_ends_ || (reload_ && has_terminal()))) {
    const bool reloads = reload_ && !draining_;
    log::info("signal", {{"name", "HUP"}, {"action", reloads ? "reload" : "none"}});
    if (reloads) reload_();
    return;
  }
  const bool interrupt = number == SIGINT;
  const char* name = interrupt ? "INT" : number == SIGHUP ? "HUP" : "TERM";
  const char* action = !draining_ ? "drain" : interrupt ? "end" : "none";
  log::info("signal", {{"name", name}, {"action", action}});
  if (!draining_) return stop(kExitStopped);
  if (interrupt) end(exit_code_);
}

void Daemon::stop(int code) {
  if (draining_) return;
  draining_ = true;
  exit_code_ = code;
  limit_.arm_in(kDrainLimit);
  drain_([this] { end(exit_code_); });
}

}  // namespace leat::cli
