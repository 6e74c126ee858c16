#include "cli/unknown_word.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

namespace leat::cli {
namespace {

// Letters to insert, remove, replace or exchange with their neighbour (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before = std::exchange(last, row);
  }
  return last[b.size()];
}

std::string nearest(std::string_view word, std::span<const std::string> known) {
  constexpr std::size_t kTypos = 2;
  std::size_t least = kTypos + 1;
  std::string found;
  for (const std::string& each : known) {
    const bool begins = word.size() > 3 && each.starts_with(word);
    const std::size_t typos = begins ? 1 : distance(word, each);
    if (typos < least && typos < word.size()) {
      least = typos;
      found = each;
    }
  }
  return found;
}

}  // namespace

std::string describe_unknown(std::span<const std::string> unknown,
                             std::span<const std::string> known) {
  const auto flag = std::ranges::find_if(
      unknown, [](const std::string& word) { return word.size() > 1 && word.starts_with('-'); });
  std::string_view word = flag != unknown.end() ? *flag : unknown.front();
  if (flag != unknown.end()) word = word.substr(0, word.find('='));
  if (word == "--token") {
    return "--token: a token is given in LEAT_TOKEN or with --token-file, where no other user sees "
           "it";
  }
  if (word.starts_with("leat_")) word = "leat_…";
  std::string text = "not known here: " + std::string(word);
  const std::string meant = nearest(word, known);
  return meant.empty() ? text : text + "; did you mean " + meant + "?";
}

}  // namespace leat::cli
