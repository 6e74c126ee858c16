// Numbers for Prometheus: a histogram, and the writer of the text format (exposition format 0.0.4).
// Labels are names of ours, of sets that are known when the program is built; none comes from a
// peer or a visitor, so that a family has as many samples tomorrow as today.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace leat {

// Of times, in buckets that grow from 1 ms to 60 s.
class Histogram {
 public:
  static constexpr std::array<double, 12> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                     0.1,   0.25,   1.0,   2.5,  10.0,  60.0};

  void observe(std::chrono::duration<double> time);
  void add(const Histogram& other);
  std::uint64_t count() const { return count_; }

 private:
  friend class MetricsText;
  std::array<std::uint64_t, kBounds.size()> up_to_{};  // each bound, the smaller ones included
  std::uint64_t count_ = 0;
  double sum_ = 0;  // seconds
};

class MetricsText {
 public:
  // What follows belongs to this family. `type`: "counter", "gauge" or "histogram".
  void family(const char* name, const char* type, const char* help);
  // `labels`: `kind="http"`, or nothing.
  void sample(const std::string& labels, double value);
  void sample(const std::string& labels, std::uint64_t value) {
    sample(labels, static_cast<double>(value));
  }
  void sample(const std::string& labels, const Histogram& value);
  // A family of one.
  void single(const char* name, const char* type, const char* help, double value);
  std::string take() { return std::move(out_); }

 private:
  void line(const char* suffix, const std::string& labels, double value);

  std::string name_, out_;
};

// `kind="http"`
std::string label(const char* name, std::string_view value);

}  // namespace leat
