#include "cli/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace leat::cli {
namespace {

constexpr std::size_t kOutput = 64 * 1024;

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// Between fork and exec: system calls only.
[[noreturn]] void become(int output, int nothing, pid_t parent, char* const* arguments,
                         char* const* environment) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setpgid(0, 0);  // the terminal's Ctrl-C is for the demo, which ends its children in order
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);  // gone before prctl
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execve("/proc/self/exe", arguments, environment);
  ::_exit(127);
}

}  // namespace

Result<std::unique_ptr<Child>> Child::start(net::Shard& shard, std::string name,
                                            std::vector<std::string> arguments,
                                            std::vector<std::string> environment, OnExit on_exit) {
  arguments.insert(arguments.begin(), "leat");
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("LEAT_")) environment.emplace_back(*entry);
  }
  std::vector<char*> argument_pointers = pointers(arguments);
  std::vector<char*> environment_pointers = pointers(environment);

  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail(Code::INTERNAL, "pipe: " + std::generic_category().message(errno));
  }
  std::unique_ptr<Child> child(new Child(shard, std::move(name), std::move(on_exit)));
  child->pipe_ = net::Fd(ends[0]);
  const net::Fd output(ends[1]);
  const net::Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const pid_t parent = ::getpid();
  child->pid_ = ::fork();
  if (child->pid_ == 0) {
    become(output.get(), nothing.get(), parent, argument_pointers.data(),
           environment_pointers.data());
  }
  if (child->pid_ < 0) {
    return fail(Code::INTERNAL, "fork: " + std::generic_category().message(errno));
  }
  if (!shard.watch(child->pipe_.get(), *child)) return fail(Code::INTERNAL, "epoll refused a pipe");
  return child;
}

Child::~Child() {
  shard_.unwatch(*this);
  if (pid_ <= 0) return;
  on_exit_ = nullptr;
  ::kill(pid_, SIGKILL);
  reap();
}

void Child::terminate() {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

// The pipe ends with the process, which has no children of its own.
void Child::on_ready() {
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t n = ::read(pipe_.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EAGAIN) return clear_readable();
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    output_.append(buffer.data(), static_cast<std::size_t>(n));
    if (output_.size() > kOutput) output_.erase(0, output_.size() - kOutput);
  }
  clear_readable();
  if (running()) reap();
}

void Child::reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (on_exit_) on_exit_(*this);
}

}  // namespace leat::cli
