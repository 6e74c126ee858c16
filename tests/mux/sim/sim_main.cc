// mux_sim: two sessions over a simulated link, by seed.
//
//   mux_sim --seeds N [--first S]   seeds S to S+N-1 (S defaults to 1); must reach all there is
//   mux_sim --seed S                one of them, again
//   --failures F                    ends after so many that failed (10)

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "mux/sim/sim_world.h"

namespace {

using leat::mux::sim::Coverage;
using leat::mux::sim::Failure;
using leat::mux::sim::World;

constexpr std::uint64_t kSeedsForCoverage = 500;  // fewer need not reach everything

const char* program = "mux_sim";
volatile std::sig_atomic_t have_seed = 0;
std::uint64_t current_seed = 0;

// An assertion in the core, or a sanitizer, ends the process: say which seed it was.
void on_abort(int) {
  if (have_seed != 0) {
    std::fprintf(stderr, "seed %llu aborted; replay: %s --seed %llu\n",
                 static_cast<unsigned long long>(current_seed), program,
                 static_cast<unsigned long long>(current_seed));
  }
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

bool run(std::uint64_t seed, Coverage& coverage) {
  current_seed = seed;
  have_seed = 1;
  try {
    std::shared_ptr<leat::MemoryBudget> budget;
    {
      World world(seed, coverage);
      budget = world.budget();
      world.run();
    }
    leat::mux::sim::check(budget->free() == budget->total(), "memory that did not come back");
    return true;
  } catch (const Failure& failure) {
    std::printf("seed %llu failed: %s\n  replay: %s --seed %llu\n",
                static_cast<unsigned long long>(seed), failure.what(), program,
                static_cast<unsigned long long>(seed));
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  program = argv[0];
  std::uint64_t first = 1, count = 0, most_failures = 10;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seed") == 0) {
      first = value;
      count = 1;
    } else if (std::strcmp(argv[i], "--seeds") == 0) {
      count = value;
    } else if (std::strcmp(argv[i], "--first") == 0) {
      first = value;
    } else if (std::strcmp(argv[i], "--failures") == 0) {
      most_failures = value;
    }
  }
  if (const char* const seeds = std::getenv("LEAT_SEEDS"))
    count = std::strtoull(seeds, nullptr, 10);
  if (const char* const seed = std::getenv("LEAT_SEED")) {
    first = std::strtoull(seed, nullptr, 10);
    count = 1;
  }
  if (count == 0) {
    std::fprintf(stderr, "usage: %s --seeds N [--first S] | --seed S\n", argv[0]);
    return 2;
  }
  std::signal(SIGABRT, on_abort);

  Coverage coverage;
  std::uint64_t failed = 0;
  for (std::uint64_t seed = first; seed < first + count && failed < most_failures; ++seed) {
    failed += run(seed, coverage) ? 0 : 1;
  }
  std::printf(
      "%llu seeds, %llu failed; %llu ran to the end of every stream; %llu steps, %llu streams, "
      "%llu frames, %llu bytes\n",
      static_cast<unsigned long long>(count), static_cast<unsigned long long>(failed),
      static_cast<unsigned long long>(coverage.whole),
      static_cast<unsigned long long>(coverage.steps),
      static_cast<unsigned long long>(coverage.streams),
      static_cast<unsigned long long>(coverage.frames),
      static_cast<unsigned long long>(coverage.bytes));
  for (std::size_t i = 0; i < coverage.faults.size(); ++i) {
    std::printf("  %-24s %llu\n", name(static_cast<leat::mux::sim::Fault>(i)),
                static_cast<unsigned long long>(coverage.faults[i]));
  }
  std::string missing;
  if (!coverage.complete(missing) && count >= kSeedsForCoverage) {
    std::printf("never reached:%s\n", missing.c_str());
    return 1;
  }
  return failed == 0 ? 0 : 1;
}
