#include "cli/chat_stream.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/sample_api.h"

namespace leat::cli {
namespace {

TEST(ChatStream, ReadsWhatTheSampleServerSaysInAnyCutting) {
  const std::string request = chat_request(kSampleModel, "hello", 4);
  SampleAnswer made = answer({"POST", "/v1/chat/completions", request}, 0, 1000);
  ASSERT_TRUE(made.generation) << made.body;
  std::string content;
  for (std::uint64_t now = 1001; !made.generation->finished(); ++now) {
    content += made.generation->next(now);
  }
  for (std::size_t size = 1; size < 40; ++size) {
    ChatStream stream;
    std::vector<ChatToken> tokens;
    for (std::size_t at = 0; at < content.size(); at += size) {
      for (ChatToken& token : stream.feed(std::string_view(content).substr(at, size))) {
        tokens.push_back(std::move(token));
      }
    }
    EXPECT_TRUE(stream.complete());
    ASSERT_EQ(tokens.size(), 4u);
    for (unsigned i = 0; i < 4; ++i) {
      EXPECT_EQ(tokens[i].text, sample_token(i));
      EXPECT_EQ(tokens[i].sent_us, 1001u + i);
    }
  }
}

TEST(ChatStream, ReadsWhatOtherServersSay) {
  ChatStream stream;
  const auto tokens = stream.feed(
      ": waiting\r\n\r\n"
      "event: message\r\ndata:{\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\r\n\r\n"
      "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\",\"content\":null}}]}\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"yes\"}}]}\n\n"
      "data: not JSON\n\n"
      "data: {\"choices\":[]}\n\n");
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[0].text, "hm");
  EXPECT_EQ(tokens[1].text, "yes");
  EXPECT_FALSE(tokens[1].sent_us);
  EXPECT_FALSE(stream.complete());
}

TEST(ChatStream, KeepsAnErrorInsideTheStream) {
  ChatStream stream;
  stream.feed("data: {\"error\":{\"message\":\"out of memory\"}}\n\n");
  EXPECT_EQ(stream.error(), R"({"message":"out of memory"})");
}

TEST(ChatStream, FirstModel) {
  EXPECT_EQ(first_model(R"({"object":"list","data":[{"id":"a"},{"id":"b"}]})"), "a");
  EXPECT_EQ(first_model(R"({"models":[{"name":"llama3:8b"}]})"), "llama3:8b");
  EXPECT_EQ(first_model(R"({"data":[]})"), std::nullopt);
  EXPECT_EQ(first_model(R"({"data":null,"models":[{"name":7}]})"), std::nullopt);
  EXPECT_EQ(first_model("<html>"), std::nullopt);
}

}  // namespace
}  // namespace leat::cli
