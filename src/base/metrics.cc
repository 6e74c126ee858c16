#include "base/metrics.h"

#include <cstddef>
#include <cstdio>

namespace leat {

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < kBounds.size(); ++i) up_to_[i] += other.up_to_[i];
  count_ += other.count_;
  sum_ += other.sum_;
}

void Histogram::observe(std::chrono::duration<double> time) {
  for (std::size_t i = kBounds.size(); i-- > 0 && time.count() <= kBounds[i];) ++up_to_[i];
  ++count_;
  sum_ += time.count();
}

void MetricsText::family(const char* name, const char* type, const char* help) {
  name_ = name;
  out_.append("# HELP ").append(name).append(" ").append(help).append("\n");
  out_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void MetricsText::line(const char* suffix, const std::string& labels, double value) {
  std::array<char, 32> number;
  std::snprintf(number.data(), number.size(), "%.17g", value);
  out_.append(name_).append(suffix);
  if (!labels.empty()) out_.append("{").append(labels).append("}");
  out_.append(" ").append(number.data()).append("\n");
}

void MetricsText::sample(const std::string& labels, double value) { line("", labels, value); }

void MetricsText::sample(const std::string& labels, const Histogram& value) {
  const std::string before = labels.empty() ? labels : labels + ",";
  for (std::size_t i = 0; i < Histogram::kBounds.size(); ++i) {
    std::array<char, 32> bound;
    std::snprintf(bound.data(), bound.size(), "%g", Histogram::kBounds[i]);
    line("_bucket", before + label("le", bound.data()), static_cast<double>(value.up_to_[i]));
  }
  line("_bucket", before + label("le", "+Inf"), static_cast<double>(value.count_));
  line("_sum", labels, value.sum_);
  line("_count", labels, static_cast<double>(value.count_));
}

void MetricsText::single(const char* name, const char* type, const char* help, double value) {
  family(name, type, help);
  sample({}, value);
}

std::string label(const char* name, std::string_view value) {
  return std::string(name).append("=\"").append(value).append("\"");
}

}  // namespace leat
