#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace leat {
namespace {

constexpr Code kAll[] = {
#define LEAT_ERROR(name, status, meaning, next) Code::name,
#include "base/error_codes.inc"
#undef LEAT_ERROR
};

TEST(Codes, AreUniqueAndWellFormed) {
  std::set<std::string_view> names;
  for (const Code code : kAll) {
    const CodeInfo& about = info(code);
    EXPECT_THAT(std::string(about.name), testing::MatchesRegex("LEAT_[A-Z]+(_[A-Z]+)*"));
    EXPECT_TRUE(names.insert(about.name).second) << about.name;
    EXPECT_TRUE(about.http_status == 0 || (about.http_status >= 400 && about.http_status < 600))
        << about.name;
    for (const std::string_view text : {about.meaning, about.next}) {
      ASSERT_FALSE(text.empty()) << about.name;
      EXPECT_NE(text.back(), '.') << about.name;
    }
  }
}

TEST(Codes, AreFoundByName) {
  for (const Code code : kAll) EXPECT_EQ(code_from_name(info(code).name), code);
  EXPECT_EQ(code_from_name("LEAT_FROM_A_LATER_VERSION"), std::nullopt);
  EXPECT_EQ(code_from_name("AGENT_OFFLINE"), std::nullopt);
  EXPECT_EQ(code_from_name("leat_agent_offline"), std::nullopt);
  EXPECT_EQ(code_from_name(""), std::nullopt);
}

TEST(ErrorText, SaysWhatFailedWhyAndWhatToDo) {
  EXPECT_EQ((Error{Code::LISTEN, "127.0.0.1:443: permission denied"}.text()),
            "LEAT_LISTEN: the address could not be bound: 127.0.0.1:443: permission denied. Choose "
            "another address or stop what holds it.");
  EXPECT_EQ((Error{Code::USAGE, {}}.text()),
            "LEAT_USAGE: the command line is not valid. See --help.");
  EXPECT_EQ((Error{Code::USAGE, "htpp; did you mean http?"}.text()),
            "LEAT_USAGE: the command line is not valid: htpp; did you mean http? See --help.");
}

TEST(ErrorJson, IsOneLineOfJson) {
  for (const Code code : kAll) {
    const std::string text = Error::json(code, "id-1");
    EXPECT_EQ(text.find('\n'), text.size() - 1);
    const auto error = nlohmann::json::parse(text).at("error");
    EXPECT_EQ(error.at("code"), info(code).name);
    EXPECT_EQ(error.at("message"), info(code).meaning);
    EXPECT_EQ(error.at("next"), info(code).next);
    EXPECT_EQ(error.at("request_id"), "id-1");
  }
  EXPECT_FALSE(
      nlohmann::json::parse(Error::json(Code::BAD_REQUEST)).at("error").contains("request_id"));
}

TEST(ErrorJson, EscapesTheRequestId) {
  const auto id = nlohmann::json::parse(Error::json(Code::BAD_REQUEST, "a\"\n\xff"))
                      .at("error")
                      .at("request_id");
  EXPECT_EQ(id, "a\"\n\xef\xbf\xbd");
}

// docs/errors.md lists every code, in the order of the table, with the same words.
TEST(ErrorPage, MatchesTheTable) {
  std::ifstream page(LEAT_ERRORS_PAGE);
  ASSERT_TRUE(page) << LEAT_ERRORS_PAGE;
  std::vector<std::string> rows;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("| `LEAT_")) rows.push_back(line);
  }
  std::vector<std::string> want;
  for (const Code code : kAll) {
    const CodeInfo& about = info(code);
    const std::string status = about.http_status == 0 ? "–" : std::to_string(about.http_status);
    want.push_back("| `" + std::string(about.name) + "` | " + status + " | " +
                   std::string(about.meaning) + " | " + std::string(about.next) + " |");
  }
  for (std::size_t i = 0; i < std::min(rows.size(), want.size()); ++i) EXPECT_EQ(rows[i], want[i]);
  EXPECT_EQ(rows.size(), want.size());
}

}  // namespace
}  // namespace leat
