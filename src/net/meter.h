// Limits how many bytes a stream may move. Asked before each of them; told at once after, of none
// too.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leat::net {

class Meter {
 public:
  enum class Direction : std::uint8_t { in, out };  // from the visitor, to the visitor

  // At most `wanted`. 0: nothing now; the meter's owner wakes the stream, or ends it.
  virtual std::size_t allow(std::size_t wanted) = 0;
  virtual void moved(Direction direction, std::size_t n) = 0;

 protected:
  ~Meter() = default;
};

}  // namespace leat::net
