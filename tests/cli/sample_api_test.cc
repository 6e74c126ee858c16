#include "cli/sample_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

namespace leat::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr std::uint64_t kNow = 1'700'000'000'123'456;

SampleAnswer post(std::string_view path, const std::string& body, unsigned tokens = 3) {
  return answer({"POST", path, body}, tokens, kNow);
}

SampleAnswer get(std::string_view path) { return answer({"GET", path, ""}, 3, kNow); }

// The pieces of a generation, token k made at kNow + k.
std::vector<std::string> pieces(SampleAnswer& made) {
  std::vector<std::string> out;
  if (!made.generation) ADD_FAILURE() << made.body;
  while (made.generation && !made.generation->finished()) {
    out.push_back(made.generation->next(kNow + out.size()));
  }
  return out;
}

// The JSON of each server-sent event; "[DONE]" as a string.
std::vector<json> events(const std::string& text) {
  std::vector<json> out;
  for (std::size_t at = 0; at < text.size();) {
    EXPECT_EQ(text.compare(at, 6, "data: "), 0) << text.substr(at);
    const std::size_t end = text.find("\n\n", at);
    if (end == text.npos) {
      ADD_FAILURE() << "an event without its blank line";
      break;
    }
    const std::string data = text.substr(at + 6, end - at - 6);
    out.push_back(data == "[DONE]" ? json(data) : json::parse(data));
    at = end + 2;
  }
  return out;
}

constexpr char kHello[] =
    R"({"model":"leat-sample","stream":true,"messages":[{"role":"user","content":"two words"}]})";

TEST(SampleApi, StreamsOneEventForEachTokenWithItsTime) {
  SampleAnswer made = post("/v1/chat/completions", kHello);
  EXPECT_STREQ(made.generation->content_type(), "text/event-stream");
  const auto all = pieces(made);
  ASSERT_EQ(all.size(), 3u);
  std::string content;
  for (std::size_t k = 0; k < 3; ++k) {
    const auto found = events(all[k]);
    ASSERT_GE(found.size(), 1u);
    const json& first = found[0];
    EXPECT_EQ(first["object"], "chat.completion.chunk");
    EXPECT_EQ(first["created"], kNow / 1'000'000);
    EXPECT_EQ(first["model"], "leat-sample");
    EXPECT_EQ(first["leat_sent_us"], kNow + k);
    EXPECT_EQ(first["choices"][0]["index"], 0);
    EXPECT_TRUE(first["choices"][0]["finish_reason"].is_null());
    EXPECT_EQ(first["choices"][0]["delta"].contains("role"), k == 0);
    content += first["choices"][0]["delta"]["content"].get<std::string>();
    EXPECT_EQ(found.size(), k == 2 ? 3u : 1u);
  }
  EXPECT_EQ(content, sample_token(0) + sample_token(1) + sample_token(2));
  const auto last = events(all[2]);
  EXPECT_EQ(last[1]["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(last[1]["choices"][0]["delta"], json::object());
  EXPECT_EQ(last[2], "[DONE]");
}

TEST(SampleApi, UsageComesWhenAskedFor) {
  SampleAnswer made =
      post("/v1/chat/completions",
           R"({"model":"leat-sample","stream":true,"stream_options":{"include_usage":true},
          "messages":[{"role":"user","content":"two words"}]})");
  const auto last = events(pieces(made).back());
  ASSERT_EQ(last.size(), 4u);
  EXPECT_EQ(last[2]["choices"], json::array());
  EXPECT_EQ(last[2]["usage"],
            json({{"prompt_tokens", 2}, {"completion_tokens", 3}, {"total_tokens", 5}}));
}

TEST(SampleApi, TheRequestsLimitCuts) {
  for (const char* key : {"max_tokens", "max_completion_tokens"}) {
    json request = json::parse(kHello);
    request[key] = 2;
    SampleAnswer made = post("/v1/chat/completions", request.dump());
    const auto all = pieces(made);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(events(all[1])[1]["choices"][0]["finish_reason"], "length");
  }
}

TEST(SampleApi, NotStreamedIsOneJsonAtTheEnd) {
  SampleAnswer made = post("/v1/chat/completions",
                           R"({"model":"leat-sample","messages":[{"role":"user","content":"x"}]})");
  EXPECT_STREQ(made.generation->content_type(), "application/json");
  const auto all = pieces(made);
  EXPECT_EQ(all[0] + all[1], "");
  const json whole = json::parse(all[2]);
  EXPECT_EQ(whole["object"], "chat.completion");
  EXPECT_EQ(whole["choices"][0]["message"]["content"],
            sample_token(0) + sample_token(1) + sample_token(2));
  EXPECT_EQ(whole["usage"]["completion_tokens"], 3);
}

TEST(SampleApi, OllamaStreamsLines) {
  SampleAnswer made = post(
      "/api/chat", R"({"model":"leat-sample:latest","messages":[{"role":"user","content":"x"}]})");
  EXPECT_STREQ(made.generation->content_type(), "application/x-ndjson");
  const auto all = pieces(made);
  ASSERT_EQ(all.size(), 3u);
  const json first = json::parse(all[0]);
  EXPECT_EQ(first["message"]["content"], sample_token(0));
  EXPECT_EQ(first["done"], false);
  EXPECT_EQ(first["created_at"], "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(first["leat_sent_us"], kNow);
  const json last = json::parse(all[2].substr(all[2].find('\n')));
  EXPECT_EQ(last["done"], true);
  EXPECT_EQ(last["done_reason"], "stop");
  EXPECT_EQ(last["eval_count"], 3);
}

TEST(SampleApi, OllamaNotStreamed) {
  SampleAnswer made = post("/api/chat",
                           R"({"model":"leat-sample","stream":false,"options":{"num_predict":1},
                               "messages":[{"role":"user","content":"x"}]})");
  const json whole = json::parse(pieces(made).at(0));
  EXPECT_EQ(whole["message"]["content"], sample_token(0));
  EXPECT_EQ(whole["done_reason"], "length");
}

TEST(SampleApi, ModelsAndTags) {
  EXPECT_EQ(json::parse(get("/v1/models").body)["data"][0]["id"], "leat-sample");
  EXPECT_EQ(json::parse(get("/v1/models/leat-sample").body)["object"], "model");
  EXPECT_EQ(json::parse(get("/api/tags").body)["models"][0]["name"], "leat-sample:latest");
  EXPECT_EQ(get("/healthz").body, "ok\n");
  EXPECT_EQ(get("/").status, 200);
}

struct Refused {
  const char* body;
  int status;
  const char* param;  // nullptr: null
};

TEST(SampleApi, RefusalsAreOpenAiErrors) {
  const Refused cases[] = {
      {"{", 400, nullptr},
      {"[]", 400, nullptr},
      {"{}", 400, "model"},
      {R"({"model":7,"messages":[]})", 400, "model"},
      {R"({"model":"gpt-4","messages":[{"role":"user","content":"x"}]})", 404, "model"},
      {R"({"model":"leat-sample"})", 400, "messages"},
      {R"({"model":"leat-sample","messages":[]})", 400, "messages"},
      {R"({"model":"leat-sample","messages":["x"]})", 400, "messages[0].role"},
      {R"({"model":"leat-sample","messages":[{"role":"user","content":1}]})", 400,
       "messages[0].content"},
      {R"({"model":"leat-sample","stream":1,"messages":[{"role":"u","content":"x"}]})", 400,
       "stream"},
      {R"({"model":"leat-sample","n":2,"messages":[{"role":"u","content":"x"}]})", 400, "n"},
      {R"({"model":"leat-sample","temperature":3,"messages":[{"role":"u","content":"x"}]})", 400,
       "temperature"},
      {R"({"model":"leat-sample","max_tokens":0,"messages":[{"role":"u","content":"x"}]})", 400,
       "max_tokens"},
      {R"({"model":"leat-sample","stream_options":{},"messages":[{"role":"u","content":"x"}]})",
       400, "stream_options"},
  };
  for (const Refused& refused : cases) {
    const SampleAnswer made = post("/v1/chat/completions", refused.body);
    EXPECT_FALSE(made.generation) << refused.body;
    EXPECT_EQ(made.status, refused.status) << refused.body;
    const json error = json::parse(made.body)["error"];
    EXPECT_EQ(error["type"], "invalid_request_error");
    EXPECT_TRUE(error["message"].is_string());
    EXPECT_EQ(error["param"], refused.param == nullptr ? json(nullptr) : json(refused.param))
        << refused.body;
  }
}

TEST(SampleApi, OllamaErrorsAreAString) {
  const SampleAnswer made = post("/api/chat", R"({"model":"x","messages":[]})");
  EXPECT_EQ(made.status, 404);
  EXPECT_THAT(json::parse(made.body)["error"].get<std::string>(), HasSubstr("'x'"));
}

TEST(SampleApi, WrongMethodsAndPaths) {
  EXPECT_EQ(get("/nothing").status, 404);
  EXPECT_EQ(get("/v1/chat/completions").status, 405);
  EXPECT_EQ(get("/v1/chat/completions").allow, "POST");
  EXPECT_EQ(post("/v1/models", "").allow, "GET, HEAD");
  EXPECT_EQ(post("/v1/models/leat-sample", "").status, 405);
  EXPECT_EQ(get("/v1/models/other").status, 404);
}

TEST(SampleApi, TheTextRepeatsWithoutEnd) {
  SampleAnswer made = post("/v1/chat/completions", kHello, 500);
  EXPECT_EQ(pieces(made).size(), 500u);
  SampleAnswer once = post("/v1/chat/completions", kHello, 0);
  const std::size_t length = pieces(once).size();
  EXPECT_EQ(sample_token(0), sample_token(static_cast<unsigned>(length)).substr(1));
}

}  // namespace
}  // namespace leat::cli
