// What a person at a terminal sees of an agent that runs: a few lines, drawn anew in their place at
// most four times a second. Nothing of the terminal is changed that would have to be restored: no
// modes, no hidden cursor, no other screen; so however the program ends, the shell finds it as it
// was, with the last lines above its prompt.
#pragma once

#include <chrono>
#include <deque>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "net/shard.h"

namespace leat::cli {

struct Frame {
  const agent::Status& status;
  const std::deque<agent::RequestLine>& requests;
  std::uint64_t request_count = 0;
  double out_rate = 0, in_rate = 0;  // bytes a second
  std::string note;
  std::chrono::system_clock::time_point now;
  std::size_t width = 80, height = 24;  // of the terminal
};
// At most height - 1 lines of at most width - 1 columns each, so that nothing wraps or scrolls.
std::vector<std::string> status_lines(const Frame& frame);

// Standard output and, unless it is a file, standard error belong to the view while one lives.
class StatusView final {
 public:
  // Whether somebody looks who can be shown a view: standard output is a terminal that can move its
  // cursor, and no JSON was asked for.
  static bool wanted();

  StatusView(net::Shard& shard, const agent::Agent& agent);
  ~StatusView();
  StatusView(const StatusView&) = delete;
  StatusView& operator=(const StatusView&) = delete;

  void note(std::string text) { note_ = std::move(text); }

 private:
  void draw();
  void measure();

  net::Shard& shard_;
  const agent::Agent& agent_;
  net::Timer timer_;
  std::string note_, shown_;
  std::size_t lines_ = 0;  // of what is shown
  Time measured_ = kNever;
  std::uint64_t sent_ = 0, received_ = 0;
  double out_rate_ = 0, in_rate_ = 0;
  int saved_stderr_ = -1;
};

}  // namespace leat::cli
