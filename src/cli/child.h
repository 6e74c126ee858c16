// A child process of the demo: this same program with other arguments, its output collected, to be
// shown if something goes wrong. It ends with its parent, whatever happens to that.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/shard.h"
#include "net/socket.h"

namespace leat::cli {

class Child final : private net::Watched {
 public:
  using OnExit = std::function<void(Child&)>;
  // `environment`: "NAME=value"s beside those of this process; LEAT_… of this process are left out.
  static Result<std::unique_ptr<Child>> start(net::Shard& shard, std::string name,
                                              std::vector<std::string> arguments,
                                              std::vector<std::string> environment, OnExit on_exit);
  ~Child() override;  // a child that still runs is killed

  void terminate();
  bool running() const { return pid_ > 0; }
  int exit_code() const { return exit_code_; }  // after it ended; 128 + N for signal N
  const std::string& name() const { return name_; }
  const std::string& output() const { return output_; }  // the last 64 KiB of both streams

 private:
  Child(net::Shard& shard, std::string name, OnExit on_exit)
      : shard_(shard), name_(std::move(name)), on_exit_(std::move(on_exit)) {}
  void on_ready() override;
  void reap();

  net::Shard& shard_;
  std::string name_;
  OnExit on_exit_;
  net::Fd pipe_;
  pid_t pid_ = -1;
  int exit_code_ = 0;
  std::string output_;
};

}  // namespace leat::cli
