// What a person reads on standard output; without colour where NO_COLOR is set or nobody looks.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leat::cli {

bool colours();  // standard output is a terminal, NO_COLOR unset (no-color.org), TERM not "dumb"

std::string bold(std::string_view text);
std::string faint(std::string_view text);

struct BoxLine {
  std::string label;  // empty: `text` stands alone
  std::string text;
};
// The lines in a frame, labels aligned. Labels and texts are ASCII.
std::string box(std::string_view title, const std::vector<BoxLine>& lines);

// Writes to standard output and flushes: what is shown is shown now.
void print(std::string_view text);

}  // namespace leat::cli
