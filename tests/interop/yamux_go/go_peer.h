// A session of ours over a TCP connection to a child process that runs a stock hashicorp/yamux.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mux/session.h"

namespace leat::mux::interop {

// Byte number i of what a side sends; peer.go has the same.
inline std::uint8_t content(std::uint8_t seed, std::size_t i) {
  return static_cast<std::uint8_t>(i ^ (i >> 8) * 31 ^ (i >> 16) * 7 ^ seed);
}

struct PatternSource final : Source {
  PatternSource(std::uint8_t of_seed, std::size_t bytes, bool then_end = true)
      : seed(of_seed), total(bytes), ends(then_end) {}
  Produced produce(MutableBytes out) override;

  const std::uint8_t seed;
  std::size_t total, sent = 0;
  bool ends;
};

struct PatternSink final : Sink {
  explicit PatternSink(std::uint8_t of_seed) : seed(of_seed) {}
  std::size_t deliver(Bytes data) override;
  void end() override { ended = true; }
  void reset(ResetReason why) override {
    was_reset = true;
    reason = why;
  }

  const std::uint8_t seed;
  std::size_t received = 0, room = SIZE_MAX;
  bool ended = false, was_reset = false, correct = true;
  ResetReason reason{};
};

// Sends back what it receives, from a buffer of its own.
struct Echo final : Source, Sink {
  Echo(Session& of, StreamHandle on) : session(of), stream(on) {}
  Produced produce(MutableBytes out) override;
  std::size_t deliver(Bytes data) override;
  void end() override;
  void reset(ResetReason) override {}

  Session& session;
  const StreamHandle stream;
  std::vector<std::uint8_t> held;
  bool ended = false;
};

class GoPeer final : public Events {
 public:
  // Starts the child in the opposite role and connects. `chunk`: most bytes to move in one system
  // call.
  GoPeer(const Config& config, const std::string& scenario, std::vector<std::string> flags = {},
         std::size_t chunk = 65536);
  ~GoPeer();

  Session& session() { return session_; }
  // Moves bytes until `done`. False: the connection ended, the session died, or 60 s passed first.
  bool run_until(const std::function<bool()>& done);
  // Bytes sent so far have been handled by the other side when its answer to a ping is here.
  bool round_trip();
  // The next line of the child's output.
  bool hear(const std::string& line);
  // Tells the child to go on.
  void tell();
  // Closes the connection.
  void hang_up();
  // Goes on until the child has ended; its exit code.
  int finish();

  std::vector<StreamHandle> opened;
  std::function<void(StreamHandle)> accept = [](StreamHandle) {};
  int go_aways = 0;
  bool ended = false;  // the other side closed the connection
  Fatal fatal = Fatal::none;

 private:
  void on_open(StreamHandle stream) override {
    opened.push_back(stream);
    accept(stream);
  }
  void on_go_away() override { ++go_aways; }
  void on_want_pull() override {}

  void start(const std::string& scenario, std::vector<std::string> flags, bool client);
  void move();

  Session session_;
  const std::size_t chunk_;
  int socket_ = -1, to_child_ = -1, from_child_ = -1;
  pid_t child_ = -1;
  std::vector<std::uint8_t> out_;
  std::size_t out_begin_ = 0;
};

}  // namespace leat::mux::interop
