// What every command shares: the exit codes, an error's way to the terminal, and the life of a
// daemon from its start to the end of its drain.
#pragma once

#include <functional>
#include <memory>

#include "base/error.h"
#include "net/shard.h"
#include "net/socket.h"

namespace leat::cli {

inline constexpr int kExitStopped = 0;  // did what was asked, or was asked to stop
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;    // the command line or the configuration is wrong
inline constexpr int kExitRefused = 3;  // the credential is, or another uses the same identity

int exit_code(Code code);
// Prints the error's text on standard error and gives its exit code.
int report(const Error& error);

// To be called before any thread is started: TERM, INT and HUP come by descriptor from then on, and
// a closed pipe is an error of write().
void take_signals();

// As many descriptors as the system lets it have: each visitor takes one, and the usual 1,024 are
// soon gone. Gives their number.
std::size_t take_descriptors();

// Runs a shard until it is over.
//   TERM, INT     drains; the second INT ends at once
//   HUP           drains where the program was started from a terminal that has been closed, and
//                 without nohup; otherwise reloads, or is noted where there is nothing to reload
class Daemon final : private net::Watched {
 public:
  using Done = std::function<void()>;
  // `drain` is called once, when asked to stop; it calls `done` when nothing is left. It has 29 s.
  using Drain = std::function<void(Done done)>;

  explicit Daemon(net::Shard& shard);
  ~Daemon() override { shard_.unwatch(*this); }
  int run(Drain drain, std::function<void()> reload = nullptr);  // returns the exit code
  // Both from inside run(): drains and ends, as a signal does; ends at once.
  void stop(int exit_code);
  void end(int exit_code);

 private:
  void on_ready() override;
  void on_signal(int number);

  net::Shard& shard_;
  net::Fd signals_;
  net::Timer limit_;
  Drain drain_;
  std::function<void()> reload_;
  bool draining_ = false, hangup_ends_ = false;
  int exit_code_ = kExitStopped;
};

}  // namespace leat::cli
