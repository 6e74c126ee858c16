// The file of plans, and the example that is shipped.
#include "config/plans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace leat::config {
namespace {

Result<Plans> read(const std::string& text) {
  const test::TempDir dir;
  EXPECT_TRUE(write_file(dir / "plans.yaml", text, 0644, Code::CONFIG));
  return read_plans(dir / "plans.yaml");
}

TEST(Plans, TheExampleSaysWhatIsPromised) {
  const auto plans = read_plans(LEAT_PLANS_EXAMPLE);
  ASSERT_TRUE(plans) << plans.error().detail;
  const Plan *free = plans->find(""), *pro = plans->find("pro"), *team = plans->find("team");
  ASSERT_TRUE(free && pro && team);
  EXPECT_EQ(free->name, "free") << "the default";
  EXPECT_EQ(free->tunnels, 0u);
  EXPECT_EQ(pro->tunnels, 1u);
  EXPECT_EQ(team->tunnels, std::nullopt);
  EXPECT_EQ(team->visitor_messages_per_minute, std::nullopt);
  EXPECT_EQ(team->message, std::nullopt);
  EXPECT_EQ(plans->operators, "team") << "what the relay's first command can use";
  for (const Plan* plan : {free, pro}) {
    EXPECT_EQ(plan->bytes_per_day, 500'000'000u);
    EXPECT_EQ(plan->bytes_per_month, 10'000'000'000u);
    EXPECT_EQ(plan->visitor_messages_per_minute, 30u);
    EXPECT_EQ(plan->agent_messages_per_minute, 120u);
    EXPECT_EQ(plan->message, 5'000'000u);
    EXPECT_TRUE(plan->streams && plan->requests_per_minute && plan->bytes_per_second && plan->body);
  }
}

TEST(Plans, WhatIsWrongIsNamed) {
  const struct {
    const char *text, *why;
  } kCases[] = {
      {"default: free\n", "no plans"},
      {"plans: free\n", "expected a list"},
      {"plans:\n  - tunnels: 1\n", "name is missing"},
      {"plans:\n  - name: a\n  - name: a\n", "another plan is called a"},
      {"plans:\n  - name: a\n", "default is missing"},
      {"default: a\noperator: b\nplans:\n  - name: a\n", "operator: no plan is called b"},
      {"default: b\nplans:\n  - name: a\n", "no plan is called b"},
      {"plans:\n  - name: a\n    tunnels: many\n", ":3: plans[0].tunnels: expected a whole number"},
      {"plans:\n  - name: a\n    tunnels: -1\n", "expected a whole number"},
      {"plans:\n  - name: a\n    bytes_per_day: 1TB\n", "expected a size"},
      {"plans:\n  - name: a\n    requests_per_minute: 0\n", "would let nothing through"},
      {"plans:\n  - name: a\n    agent_messages_per_minute: 0\n", "would let nothing through"},
      {"plans:\n  - name: a\n    colour: red\n", "unknown key"},
  };
  for (const auto& each : kCases) {
    const auto refused = read(each.text);
    ASSERT_FALSE(refused) << each.text;
    EXPECT_THAT(refused.error().detail, testing::HasSubstr(each.why));
  }
  EXPECT_TRUE(read("default: a\nplans:\n  - name: a\n    tunnels: unlimited\n"));
}

}  // namespace
}  // namespace leat::config
