#include "agent/early_stream.h"

#include <gtest/gtest.h>

namespace leat::agent {
namespace {

bool found(std::string_view json, std::size_t step) {
  StreamFlag flag;
  for (std::size_t at = 0; at < json.size(); at += step) {
    flag.feed(as_bytes(json.substr(at, step)));
  }
  return flag.found();
}

TEST(StreamFlag, IsTheOutermostOne) {
  const std::pair<const char*, bool> kCases[] = {
      {R"({"stream":true})", true},
      {R"({"model":"m","messages":[{"role":"user","content":"x"}], "stream" : true , "n":1})",
       true},
      {"{\n  \"stream\":\r\n\ttrue\n}", true},
      {R"({"a":{"b":[1,{"stream":false}]},"stream":true})", true},
      {R"({"stream":false})", false},
      {R"({"stream":"true"})", false},
      {R"({"stream":trueish})", false},
      {R"({"stream":1})", false},
      {R"({"streams":true})", false},
      {R"({"strea\u006d":true})", false},
      {R"({"a":{"stream":true}})", false},
      {R"([{"stream":true}])", false},
      {R"({"a":"\"stream\":true"})", false},
      {R"({"a":"\\","stream":true})", true},
      {R"({"a":"stream","b":true})", false},
      {R"({"a":["stream",true]})", false},
      {R"("stream":true)", false},
      {"stream=true", false},
      {"", false},
  };
  for (const auto& [json, want] : kCases) {
    for (std::size_t step = 1; step <= std::string_view(json).size() + 1; ++step) {
      EXPECT_EQ(found(json, step), want) << json << " by " << step;
    }
  }
}

http::Request request(std::string method, std::string target, std::string accept,
                      http::BodyKind body = http::BodyKind::none) {
  http::Request made;
  made.method = std::move(method);
  made.target = std::move(target);
  if (!accept.empty()) made.fields.add("Accept", accept);
  made.body = body;
  return made;
}

TEST(EarlyStream, OnlyWhoAsksForEventsMayGetThem) {
  using http::BodyKind;
  const auto asks = [](const http::Request& request, std::string_view body = {}) {
    EarlyStream early(request);
    early.feed_body(as_bytes(body));
    return early.asked();
  };
  EXPECT_TRUE(asks(request("GET", "/events", "text/event-stream")));
  EXPECT_TRUE(asks(request("GET", "/events", "Text/Event-Stream; charset=utf-8")));
  EXPECT_FALSE(asks(request("GET", "/events", "application/json, text/event-stream")));
  EXPECT_FALSE(asks(request("GET", "/events", "*/*")));
  EXPECT_FALSE(asks(request("DELETE", "/events", "text/event-stream")));
  http::Request old = request("GET", "/events", "text/event-stream");
  old.minor = 0;
  EXPECT_FALSE(asks(old)) << "HTTP/1.0 has no chunks";

  const std::string yes = R"({"stream":true})";
  EXPECT_TRUE(
      asks(request("POST", "/v1/chat/completions?x", "application/json", BodyKind::length), yes));
  EXPECT_TRUE(asks(request("POST", "/v1/messages", "", BodyKind::length), yes));
  EXPECT_FALSE(asks(request("POST", "/v1/chat/completions", "", BodyKind::length), "{}"));
  EXPECT_FALSE(asks(request("POST", "/v1/chat/completions", "", BodyKind::chunked), yes));
  EXPECT_FALSE(asks(request("POST", "/api/chat", "", BodyKind::length), yes)) << "lines of JSON";
}

TEST(EarlyStream, WhatKeepsThePromise) {
  const auto keeps = [](int status, std::string type, std::string coding = {}) {
    http::Response response;
    response.status = status;
    if (!type.empty()) response.fields.add("Content-Type", type);
    if (!coding.empty()) response.fields.add("Content-Encoding", coding);
    return EarlyStream::keeps(response);
  };
  EXPECT_TRUE(keeps(200, "text/event-stream; charset=utf-8"));
  EXPECT_TRUE(keeps(200, "text/event-stream", "identity"));
  EXPECT_FALSE(keeps(200, "text/event-stream", "gzip"));
  EXPECT_FALSE(keeps(200, "application/json"));
  EXPECT_FALSE(keeps(200, ""));
  EXPECT_FALSE(keeps(429, "text/event-stream"));
}

}  // namespace
}  // namespace leat::agent
