// mux_sim: two sessions over a simulated link, by seed.
//
//   mux_sim --seeds N [--first S]   seeds S to S+N-1 (S defaults to 1); must reach all there is
//   mux_sim --seed S                one of them, again
//   --failures F                    ends after so many that failed (10)
//   --raise SIGNAL                  (a number) in the first seed, to see what is said then
//
// Whatever ends it, the seed is printed with the command that replays it; a seed has two minutes,
// ten under a sanitizer.

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "mux/sim/sim_world.h"

#ifdef LEAT_SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif

#ifdef NDEBUG
#error "the assertions of the core are half of what a run checks"
#endif

namespace {

using leat::mux::sim::Coverage;
using leat::mux::sim::Failure;
using leat::mux::sim::World;

constexpr std::uint64_t kSeedsForCoverage = 500;  // fewer need not reach everything

#ifdef LEAT_SANITIZED
constexpr unsigned kSeedTime = 600;
#else
constexpr unsigned kSeedTime = 120;  // seconds; a seed takes some hundredths of one
#endif

const char* program = "mux_sim";
std::array<char, 32> seed_text{};      // "seed S "
std::array<char, 1024> replay_text{};  // what follows the reason

void say(const char* text) { static_cast<void>(!::write(STDERR_FILENO, text, std::strlen(text))); }

void say_died(const char* how) {
  say(seed_text.data());
  say(how);
  say(replay_text.data());
}

// An assertion, a bad access, a sanitizer's verdict or a run without end ends the process: say
// which seed it was. What is said was written down before, since nothing can be relied on here.
void on_signal(int signal) {
  say_died(signal == SIGABRT   ? "aborted"
           : signal == SIGALRM ? "hangs"
           : signal == SIGFPE  ? "divided by zero"
                               : "touched memory that it may not");
  ::raise(signal);  // the default action, which was restored
}

void watch_signals() {
  static std::array<std::byte, 64 * 1024> stack;  // a stack that overflowed cannot be used
  const stack_t other{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
  ::sigaltstack(&other, nullptr);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND | SA_NODEFER);
  for (const int signal : {SIGABRT, SIGALRM}) ::sigaction(signal, &action, nullptr);
#ifdef LEAT_SANITIZED
  // The others are the sanitizer's, which tells more of them.
  __sanitizer_set_death_callback([] { say_died("ended by a sanitizer"); });
#else
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::sigaction(signal, &action, nullptr);
#endif
}

void remember(std::uint64_t seed) {
  const auto number = static_cast<unsigned long long>(seed);
  std::snprintf(seed_text.data(), seed_text.size(), "seed %llu ", number);
  std::snprintf(replay_text.data(), replay_text.size(), "; replay: %s --seed %llu\n", program,
                number);
  ::alarm(kSeedTime);
}

bool run(std::uint64_t seed, int signal, Coverage& coverage) {
  remember(seed);
  if (signal != 0) ::raise(signal);
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
  int signal = 0;
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
    } else if (std::strcmp(argv[i], "--raise") == 0) {
      signal = static_cast<int>(value);
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
  watch_signals();

  Coverage coverage;
  std::uint64_t failed = 0;
  for (std::uint64_t seed = first; seed < first + count && failed < most_failures; ++seed) {
    failed += run(seed, signal, coverage) ? 0 : 1;
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
