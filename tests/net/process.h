// A program started by a test, whose standard input and output are a socket in the test's hands.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "net/socket.h"

namespace leat::net {

class Process {
 public:
  // `arguments[0]` is looked up in PATH. Standard error goes the way of standard output.
  explicit Process(const std::vector<std::string>& arguments) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    io = Fd(fds[0]);
    const Fd theirs(fds[1]);
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = ::fork();
    EXPECT_GE(pid_, 0);
    if (pid_ != 0) return;
    // The program's end blocks, ours does not: the flag is of the open file, one for each end.
    ::fcntl(theirs.get(), F_SETFL, 0);
    ::dup2(theirs.get(), 0);
    ::dup2(theirs.get(), 1);
    ::dup2(theirs.get(), 2);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  ~Process() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  Fd io;

 private:
  pid_t pid_ = -1;
};

}  // namespace leat::net
