// Property tests by seed. A failing seed names itself; LEAT_SEED=n runs that one alone.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace leat::http::testing {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  // 0 … n - 1.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
  std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  std::uint8_t byte() { return static_cast<std::uint8_t>(engine_()); }

  std::string text(std::string_view alphabet, std::size_t size) {
    std::string out;
    for (std::size_t i = 0; i < size; ++i) out.push_back(alphabet[below(alphabet.size())]);
    return out;
  }
  std::string bytes(std::size_t size) {
    std::string out;
    for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<char>(byte()));
    return out;
  }
  // Pieces that add up to the text, now single bytes, now long runs.
  std::vector<std::string_view> pieces(std::string_view whole) {
    std::vector<std::string_view> out;
    while (!whole.empty()) {
      const std::size_t n = std::min(whole.size(), one_in(2) ? between(1, 3) : between(1, 400));
      out.push_back(whole.substr(0, n));
      whole.remove_prefix(n);
    }
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

template <typename F>
void for_each_seed(std::uint64_t count, F&& f) {
#ifdef LEAT_SANITIZED
  count /= 5;
#endif
  const char* only = std::getenv("LEAT_SEED");
  const std::uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  const std::uint64_t last = only != nullptr ? first : count;
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  for (std::uint64_t seed = first; seed <= last && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("replay: LEAT_SEED=" + std::to_string(seed) +
                 " http_test --gtest_filter=" + test->test_suite_name() + "." + test->name());
    Random random(seed);
    f(random);
  }
}

}  // namespace leat::http::testing
