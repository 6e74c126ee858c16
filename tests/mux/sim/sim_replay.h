// Feeds recorded bytes to a fresh session in pieces of a given size and writes down what happens,
// so that two ways of cutting the same bytes can be compared.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "mux/session.h"

namespace leat::mux::sim {

class Replay final : public Events {
 public:
  // `own_streams` are opened first. After `wire` a tail of random frames follows, from `tail_seed`.
  // `most`: longest piece; 0: all at once.
  Replay(Config config, std::uint64_t own_streams, const std::string& wire, std::uint64_t tail_seed,
         std::size_t most);

  std::string trace;
  const std::uint64_t tail_seed;

 private:
  struct Taker final : Sink {
    Replay* replay = nullptr;
    std::uint32_t id = 0;
    bool over = false;
    std::size_t deliver(Bytes data) override;
    void end() override;
    void reset(ResetReason) override;
  };

  void on_open(StreamHandle stream) override;
  void on_go_away() override { note("go-away", 0); }
  void on_want_pull() override {}
  void note(const char* what, std::uint32_t id);
  void take(std::uint32_t id, Bytes data);
  void flush();

  Session session_;
  std::map<std::uint32_t, Taker> takers_;
  std::uint32_t taking_ =
      0;  // the stream whose bytes came last: joined until something else happens
  std::uint64_t taken_ = 0, hash_ = 0;
};

}  // namespace leat::mux::sim
