#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/secret.h"
#include "support/captured.h"

namespace leat {
namespace {

using test::Captured;

static_assert(!std::is_constructible_v<log::Field, std::string_view, Secret>);
static_assert(!std::is_constructible_v<log::Field, std::string_view, const Secret&>);

const std::string kDay = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
const std::string kStamp = kDay + "T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z";

TEST(LogText, HasTimeLevelEventAndFields) {
  const Captured captured;
  log::info("agent.connected",
            {{"relay", "relay.example.com:443"}, {"streams", 3}, {"ok", true}, {"rtt", 0.5}});
  EXPECT_THAT(captured.line(),
              testing::MatchesRegex(kStamp +
                                    " info  agent\\.connected "
                                    "relay=relay\\.example\\.com:443 streams=3 ok=true rtt=0\\.5"));
}

TEST(LogText, LevelsAreAligned) {
  const Captured captured;
  log::configure(log::Level::debug, log::Format::text);
  log::debug("e");
  log::info("e");
  log::warn("e");
  log::error("e");
  std::string levels;
  for (const std::string& line : captured.lines()) levels += line.substr(25) + "|";
  EXPECT_EQ(levels, "debug e|info  e|warn  e|error e|");
}

// What a visitor sends ends up in log lines: it may not forge one, nor speak to the terminal.
TEST(LogText, ValuesCannotLeaveTheirPlace) {
  const struct {
    const char *value, *want;
  } kCases[] = {
      {"plain-1.2:3/4", "plain-1.2:3/4"},
      {"", R"("")"},
      {"two words", R"("two words")"},
      {"a=b", R"("a=b")"},
      {"say \"hi\"", R"("say \"hi\"")"},
      {"back\\slash", R"("back\\slash")"},
      {"line\r\n2026-01-01T00:00:00.000Z info  forged",
       R"("line\r\n2026-01-01T00:00:00.000Z info  forged")"},
      {"\x1b[31mred\x7f", R"("\u001b[31mred\u007f")"},
      {"\xc2\x9b", R"("\u009b")"},
      {"\xff\xfe", R"("\ufffd\ufffd")"},
  };
  for (const auto& each : kCases) {
    const Captured captured;
    log::info("e", {{"k", each.value}});
    EXPECT_EQ(captured.line().substr(31), std::string("e k=") + each.want);
  }
}

TEST(LogJson, EveryValueComesBack) {
  const Captured captured;
  log::configure(log::Level::info, log::Format::json);
  const std::string text = "q\"\\ \n\t\x01 \xc3\xa4";
  log::warn("http.request", {{"text", text},
                             {"signed", std::numeric_limits<std::int64_t>::min()},
                             {"unsigned", std::numeric_limits<std::uint64_t>::max()},
                             {"small", std::uint8_t{7}},
                             {"real", 0.25},
                             {"nan", std::numeric_limits<double>::quiet_NaN()},
                             {"flag", false},
                             {"bad", "a\xff\xc3"}});
  const auto line = nlohmann::json::parse(captured.line());
  EXPECT_THAT(line.at("ts").get<std::string>(), testing::MatchesRegex(kStamp));
  EXPECT_EQ(line.at("level"), "warn");
  EXPECT_EQ(line.at("event"), "http.request");
  EXPECT_EQ(line.at("text"), text);
  EXPECT_EQ(line.at("signed"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(line.at("unsigned"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(line.at("small"), 7);
  EXPECT_EQ(line.at("real"), 0.25);
  EXPECT_TRUE(line.at("nan").is_null());
  EXPECT_EQ(line.at("flag"), false);
  EXPECT_EQ(line.at("bad"), "a\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(line.size(), 3u + 8u);
}

TEST(LogError, BecomesCodeErrorAndNext) {
  const Captured captured;
  log::configure(log::Level::info, log::Format::json);
  log::write(log::Level::error, "relay.failed", Error{Code::LISTEN, "127.0.0.1:443: taken"},
             {{"attempt", 2}});
  const auto line = nlohmann::json::parse(captured.line());
  EXPECT_EQ(line.at("level"), "error");
  EXPECT_EQ(line.at("attempt"), 2);
  EXPECT_EQ(line.at("code"), "LEAT_LISTEN");
  EXPECT_EQ(line.at("error"), "the address could not be bound: 127.0.0.1:443: taken");
  EXPECT_EQ(line.at("next"), info(Code::LISTEN).next);
}

TEST(LogLevel, LowerLevelsAreSilent) {
  constexpr log::Level kLevels[] = {log::Level::debug, log::Level::info, log::Level::warn,
                                    log::Level::error, log::Level::off};
  for (std::size_t threshold = 0; threshold < std::size(kLevels); ++threshold) {
    const Captured captured;
    log::configure(kLevels[threshold], log::Format::text);
    EXPECT_EQ(log::level(), kLevels[threshold]);
    log::debug("e");
    log::info("e");
    log::warn("e");
    log::error("e");
    log::write(log::Level::error, "e", Error{Code::INTERNAL, {}});
    log::write(log::Level::off, "never", log::Fields{});
    const std::size_t want = threshold == 4 ? 0 : 5 - threshold;
    EXPECT_EQ(captured.lines().size(), want);
  }
}

TEST(LogThreads, LinesStayWhole) {
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  const Captured captured;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < kLines; ++i) {
        log::configure(log::Level::info, i % 2 == 0 ? log::Format::json : log::Format::text);
        log::info("event", {{"thread", t}, {"line", i}, {"text", "a b"}});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto lines = captured.lines();
  EXPECT_EQ(lines.size(), std::size_t{kThreads * kLines});
  const auto text =
      testing::MatchesRegex(kStamp + R"( info  event thread=[0-9] line=[0-9]+ text="a b")");
  for (const std::string& line : lines) {
    if (line.starts_with("{")) {
      EXPECT_EQ(nlohmann::json::parse(line, nullptr, false).size(), 6u) << line;
    } else {
      EXPECT_THAT(line, text);
    }
  }
}

}  // namespace
}  // namespace leat
