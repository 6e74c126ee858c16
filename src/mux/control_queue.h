// Control frames that belong to no stream we still know: pongs, our ping, go-away, resets of
// refused streams. Bounded whatever the peer sends (threat 3). Control frames of streams are marks
// on the streams themselves and need no queue.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace leat::mux {

class ControlQueue {
 public:
  // `bound`: bytes of frames that may wait; what pongs, ping and go-away can take at most is kept
  // free.
  explicit ControlQueue(std::size_t bound);

  // False: kPongs answers wait already; this one is not given.
  bool pong(std::uint32_t value);
  // False: as many as fit wait already. The caller ends the session.
  [[nodiscard]] bool refuse(std::uint32_t id);
  // One ping and one go-away at a time; a later one replaces an earlier that has not left.
  void ping(std::uint32_t value) { ping_ = value; }
  void go_away(std::uint32_t code) { go_away_ = code; }

  bool ping_waits() const { return ping_.has_value(); }
  bool empty() const { return bytes() == 0; }
  std::size_t bytes() const;

  // Writes whole frames in the order of docs/protocol.md §1.2, returns the bytes used.
  std::size_t write(MutableBytes out);
  // Forgets all but the go-away.
  void clear_but_go_away();

 private:
  std::array<std::uint32_t, limits::kPongs> pongs_{};  // a ring
  std::size_t pong_first_ = 0, pong_count_ = 0;
  std::optional<std::uint32_t> ping_, go_away_;
  const std::size_t max_refused_;
  std::vector<std::uint32_t> refused_;  // ids; those before refused_first_ have left
  std::size_t refused_first_ = 0;
};

}  // namespace leat::mux
