// A steady_clock that can be set forward, in the program that links this: for times that no test
// can wait for.
#pragma once

#include <chrono>

namespace leat::test {

// For all threads. What the kernel has been told before comes no sooner: a timer that is armed anew
// wakes a shard.
void leap(std::chrono::steady_clock::duration time);

}  // namespace leat::test
