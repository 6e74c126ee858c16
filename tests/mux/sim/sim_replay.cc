#include "mux/sim/sim_replay.h"

#include <algorithm>
#include <array>
#include <vector>

#include "mux/sim/sim_base.h"

namespace leat::mux::sim {
namespace {

// The bounds are not the point, and must not depend on what is pulled when.
Config roomy(Config config) {
  config.max_streams = 1 << 20;
  config.receive_budget = 64 << 20;
  config.ping_interval = {};
  config.memory = nullptr;
  config.guard = {.waste = {1 << 30, 1 << 20}};
  return config;
}

// Frames that may be sound, or end the session.
std::string random_tail(Random& random) {
  std::string out;
  for (int i = 0; i < 20; ++i) {
    const std::size_t length = random.chance(50) ? random.below(50) : 0;
    constexpr std::array flags{0, 0, 0, 0, 0, 0, 1, 1, 2, 4, 4, 4, 4, 8, 8, 16};
    std::string frame(12, '\0');
    frame[0] = random.chance(1) ? '\1' : '\0';
    frame[1] = static_cast<char>(random.chance(97) ? random.below(2) : random.below(5));
    frame[3] = static_cast<char>(flags[random.below(flags.size())]);
    frame[7] = static_cast<char>(1 + random.below(20));
    frame[11] = static_cast<char>(length);
    out += frame;
    if (frame[1] == 0) out += std::string(length, 'x');
  }
  return out;
}

}  // namespace

Replay::Replay(Config config, std::uint64_t own_streams, const std::string& wire,
               std::uint64_t seed, std::size_t most)
    : tail_seed(seed), session_(roomy(config), *this, Time{}) {
  for (std::uint64_t i = 0; i < own_streams; ++i) on_open(*session_.open(Time{}));
  Random tail(seed), cuts(seed + 1);
  const std::string all = wire + random_tail(tail);
  std::vector<std::uint8_t> void_of_answers(65536);
  Fatal fault = Fatal::none;
  for (std::size_t at = 0; at < all.size() && fault == Fatal::none;) {
    const std::size_t n = std::min(all.size() - at, most == 0 ? all.size() : cuts.between(1, most));
    fault = session_.feed(as_bytes(all).subspan(at, n), Time{});
    at += n;
    for (int pulls = 0; session_.pull(void_of_answers, Time{}) > 0; ++pulls) {
      check(pulls < 10'000, "no end of answers");
    }
  }
  note(name(fault), 0);
  session_.end_all();
}

void Replay::on_open(StreamHandle stream) {
  Taker& taker = takers_[session_.id(stream)];
  taker.replay = this;
  taker.id = session_.id(stream);
  note("open", taker.id);
  session_.attach(stream, nullptr, &taker);
}

void Replay::Taker::end() {
  over = true;
  replay->note("end", id);
}

void Replay::Taker::reset(ResetReason) {
  over = true;
  replay->note("reset", id);
}

std::size_t Replay::Taker::deliver(Bytes data) {
  check(!over, "a byte after the end");
  replay->take(id, data);
  return data.size();
}

void Replay::take(std::uint32_t id, Bytes data) {
  if (id != taking_) flush();
  taking_ = id;
  taken_ += data.size();
  for (const std::uint8_t byte : data) hash_ = hash_ * 31 + byte;
}

void Replay::flush() {
  if (taken_ > 0) {
    trace +=
        std::to_string(taking_) + ":" + std::to_string(taken_) + "#" + std::to_string(hash_) + " ";
  }
  taken_ = hash_ = 0;
}

void Replay::note(const char* what, std::uint32_t id) {
  flush();
  trace += std::string(what) + std::to_string(id) + " ";
}

}  // namespace leat::mux::sim
