#include "load/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace leat::bench {

void Distribution::add(double value) {
  values_.push_back(value);
  sorted_ = false;
}

double Distribution::percentile(double p) const {
  if (values_.empty()) return 0;
  if (!sorted_) std::ranges::sort(values_);
  sorted_ = true;
  const auto rank =
      static_cast<std::size_t>(std::ceil(p / 100 * static_cast<double>(values_.size())));
  return values_[std::clamp<std::size_t>(rank, 1, values_.size()) - 1];
}

double Distribution::mean() const {
  if (values_.empty()) return 0;
  return std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(values_.size());
}

double jain(std::span<const double> shares) {
  double sum = 0, squares = 0;
  for (const double x : shares) {
    sum += x;
    squares += x * x;
  }
  return squares == 0 ? 1 : sum * sum / (static_cast<double>(shares.size()) * squares);
}

}  // namespace leat::bench
