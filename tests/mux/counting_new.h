// Counts what goes through the global operator new of a test program. Linked only into programs
// that want it, since it replaces the operator for all of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leat::test {

struct Allocations {
  std::uint64_t count = 0;  // calls of operator new so far
  std::size_t live = 0;     // bytes not yet freed, as malloc rounds them
};
Allocations allocations();

}  // namespace leat::test
