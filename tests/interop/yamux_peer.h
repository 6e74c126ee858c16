// A session of ours over a TCP connection to a child process that runs a yamux of somebody else,
// and the test fixture on top. The child is told where to connect, its role and a scenario by
// flags; a line on its standard input is the test's word to go on; exit code 0 means that
// everything was as it should be.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "mux/session.h"

namespace leat::mux::interop {

// Byte number i of what a side sends; the children have the same.
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

class YamuxPeer final : public Events {
 public:
  // Starts the child in the opposite role and connects. `chunk`: most bytes to move in one system
  // call.
  YamuxPeer(std::vector<std::string> command, const Config& config, const std::string& scenario,
            std::vector<std::string> flags = {}, std::size_t chunk = 65536);
  ~YamuxPeer();

  Session& session() { return session_; }
  // Moves bytes until `done`. False: the connection ended, the session died, or so long passed
  // first.
  bool run_until(const std::function<bool()>& done, Duration patience = std::chrono::seconds(60));
  // Moves no more than so many bytes a second in each direction from now on.
  void throttle(double bytes_per_second);
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

  void start(std::vector<std::string> command);
  void move();

  Session session_;
  const std::size_t chunk_;
  int socket_ = -1, to_child_ = -1, from_child_ = -1;
  pid_t child_ = -1;
  std::vector<std::uint8_t> out_;
  std::size_t out_begin_ = 0;
  double rate_ = 0;  // bytes a second; 0: as fast as it goes
  Time throttled_since_{};
  double sent_ = 0, received_ = 0;  // since then
};

class YamuxInterop : public testing::Test {
 protected:
  virtual std::vector<std::string> command() const = 0;
  virtual Role role() const = 0;
  Config config() const { return Config::bare(role()); }

  void start(const std::string& scenario, std::vector<std::string> flags = {},
             std::size_t chunk = 65536) {
    start(config(), scenario, std::move(flags), chunk);
  }
  void start(const Config& with, const std::string& scenario, std::vector<std::string> flags = {},
             std::size_t chunk = 65536) {
    peer = std::make_unique<YamuxPeer>(command(), with, scenario, std::move(flags), chunk);
  }
  StreamHandle open(Source* source, Sink* sink) {
    const auto stream = peer->session().open(std::chrono::steady_clock::now());
    if (!stream) throw std::runtime_error("open");
    peer->session().attach(*stream, source, sink);
    return *stream;
  }
  void echo_what_they_open() {
    peer->accept = [this](StreamHandle stream) {
      Echo& echo = echoes.emplace_back(peer->session(), stream);
      peer->session().attach(stream, &echo, &echo);
    };
  }
  bool first_opened() {
    return peer->run_until([this] { return !peer->opened.empty(); });
  }
  bool all_closed() {
    return peer->run_until([this] { return peer->session().stats().streams == 0; });
  }
  // Of 1 Mbit/s, with bulk in both directions.
  void pings_on_a_full_link() {
    start("ping-beside-bulk");
    PatternSource source(1, 400'000);
    PatternSink sink(2);
    peer->accept = [&](StreamHandle s) { peer->session().attach(s, &source, &sink); };
    peer->throttle(1e6 / 8);
    ASSERT_TRUE(first_opened());
    ASSERT_TRUE(peer->run_until([&] {
      peer->session().ping(std::chrono::steady_clock::now());  // the next when the last is answered
      return sink.ended;
    }));
    ASSERT_TRUE(all_closed());
    EXPECT_TRUE(sink.correct);
    EXPECT_GT(peer->session().stats().ping_rtt, Duration(0));
    EXPECT_LT(peer->session().stats().ping_rtt, std::chrono::seconds(10));
    peer->tell();
  }
  void TearDown() override {
    if (peer == nullptr) return;
    if (!HasFailure()) {
      EXPECT_EQ(peer->finish(), 0);
    }
    EXPECT_EQ(peer->fatal, Fatal::none) << name(peer->fatal);
  }

  std::deque<Echo> echoes;
  std::unique_ptr<YamuxPeer> peer;
};

}  // namespace leat::mux::interop
