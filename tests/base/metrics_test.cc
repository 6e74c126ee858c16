#include "base/metrics.h"

#include <gtest/gtest.h>

namespace leat {
namespace {

TEST(Metrics, AHistogramIsCumulative) {
  Histogram times;
  for (const double seconds : {0.0005, 0.001, 0.02, 3.0, 100.0}) {
    times.observe(std::chrono::duration<double>(seconds));
  }
  MetricsText text;
  text.family("t_seconds", "histogram", "Times.");
  text.sample(label("kind", "http"), times);
  const std::string out = text.take();
  for (const char* line :
       {"# TYPE t_seconds histogram\n", "t_seconds_bucket{kind=\"http\",le=\"0.001\"} 2\n",
        "t_seconds_bucket{kind=\"http\",le=\"0.025\"} 3\n",
        "t_seconds_bucket{kind=\"http\",le=\"10\"} 4\n",
        "t_seconds_bucket{kind=\"http\",le=\"60\"} 4\n",
        "t_seconds_bucket{kind=\"http\",le=\"+Inf\"} 5\n", "t_seconds_count{kind=\"http\"} 5\n"}) {
    EXPECT_NE(out.find(line), out.npos) << line << out;
  }
}

}  // namespace
}  // namespace leat
