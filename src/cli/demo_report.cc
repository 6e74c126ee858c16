#include "cli/demo_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "cli/terminal.h"

namespace leat::cli {
namespace {

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

template <typename... T>
std::string format(const char* pattern, T... values) {
  std::array<char, 128> text;
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

// A model may say anything; a terminal would obey some of it.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else {
      out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '.' : c;
    }
  }
  return out;
}

}  // namespace

double percentile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  const auto rank =
      static_cast<std::size_t>(std::ceil(p / 100 * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

std::string DemoReport::token(std::string_view text, Time now, std::uint64_t arrived_us,
                              std::optional<std::uint64_t> sent_us) {
  std::string heading;
  if (tokens_++ == 0) {
    first_ = last_ = now;
    heading = faint("  since first   since last  token") + "\n";
  }
  if (sent_us) {
    added_ms_.push_back((static_cast<double>(arrived_us) - static_cast<double>(*sent_us)) / 1000);
  }
  const std::string times =
      format("  %8.1f ms  %+7.1f ms  ", milliseconds(now - first_), milliseconds(now - last_));
  last_ = now;
  return heading + faint(times) + shown(text) + "\n";
}

std::string DemoReport::summary() const {
  std::string out = format("%zu tokens in %.2f s; the first %.1f ms after the request", tokens_,
                           milliseconds(last_ - begun_) / 1000, milliseconds(first_ - begun_));
  if (!added_ms_.empty()) {
    out += format("; added delay p50 %.2f ms, p99 %.2f ms\n", percentile(added_ms_, 50),
                  percentile(added_ms_, 99));
    out += "(from the moment the service wrote a token to its arrival through the tunnel)";
  }
  return out + "\n";
}

}  // namespace leat::cli
