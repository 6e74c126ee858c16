#include "cli/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace leat::cli {
namespace {

std::string styled(const char* code, std::string_view text) {
  if (!colours()) return std::string(text);
  return std::string("\033[").append(code).append("m").append(text).append("\033[0m");
}

std::string rule(const char* left, const char* right, std::size_t width) {
  std::string out(left);
  for (std::size_t i = 0; i < width; ++i) out.append("─");
  return out.append(right).append("\n");
}

}  // namespace

bool colours() {
  static const bool value = [] {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    if (no_color != nullptr && *no_color != '\0') return false;
    if (term == nullptr || std::string_view(term) == "dumb") return false;
    return ::isatty(STDOUT_FILENO) == 1;
  }();
  return value;
}

std::string bold(std::string_view text) { return styled("1", text); }
std::string faint(std::string_view text) { return styled("2", text); }

std::string box(std::string_view title, const std::vector<BoxLine>& lines) {
  std::size_t label_width = 0;
  for (const BoxLine& line : lines) label_width = std::max(label_width, line.label.size());
  std::size_t width = title.size();
  const auto indent = [&](const BoxLine& line) { return line.label.empty() ? 0 : label_width + 2; };
  for (const BoxLine& line : lines) width = std::max(width, indent(line) + line.text.size());

  std::string out = rule("╭─", "─╮", width);
  const auto row = [&](const std::string& shown, std::size_t length) {
    out.append("│ ").append(shown).append(width - length, ' ').append(" │\n");
  };
  row(bold(title), title.size());
  for (const BoxLine& line : lines) {
    std::string label = line.label;
    label.resize(indent(line), ' ');
    row(faint(label) + line.text, label.size() + line.text.size());
  }
  return out.append(rule("╰─", "─╯", width));
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace leat::cli
