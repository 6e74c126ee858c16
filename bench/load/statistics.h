// The few statistics that the benchmarks state: percentiles by nearest rank, so that every one of
// them is a value that was seen, and Jain's index of fairness.
#pragma once

#include <span>
#include <vector>

namespace leat::bench {

class Distribution {
 public:
  void add(double value);
  std::size_t count() const { return values_.size(); }
  // The smallest value that at least `p` percent (0 to 100) of all do not exceed; 0 when empty.
  double percentile(double p) const;
  double max() const { return percentile(100); }
  double mean() const;

 private:
  mutable std::vector<double> values_;
  mutable bool sorted_ = true;
};

// (Σx)² / (n Σx²), from 1/n (one has it all) to 1 (all equal); 1 for nothing or all zero. Jain,
// Chiu and Hawe, DEC-TR-301 (1984).
double jain(std::span<const double> shares);

}  // namespace leat::bench
