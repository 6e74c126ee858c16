#include "http/cors.h"

#include <gtest/gtest.h>

namespace leat::http {
namespace {

Request request(std::string method, std::vector<Field> fields) {
  Request made;
  made.method = std::move(method);
  made.target = "/v1/models";
  for (const auto& [name, value] : fields) made.fields.add(name, value);
  return made;
}

Cors cors(std::vector<std::string> origins) { return Cors(std::move(origins)); }

TEST(Cors, OnlyNamedOriginsCount) {
  const Cors named = cors({"https://a.test", "https://b.test:8443"});
  EXPECT_EQ(named.origin(request("GET", {{"Origin", "https://b.test:8443"}})),
            "https://b.test:8443");
  for (const char* other :
       {"https://b.test", "http://a.test", "https://a.test.evil.test", "null", ""}) {
    EXPECT_FALSE(named.origin(request("GET", {{"Origin", other}}))) << other;
  }
  EXPECT_FALSE(named.origin(request("GET", {})));
  EXPECT_FALSE(named.origin(
      request("GET", {{"Origin", "https://a.test"}, {"Origin", "https://evil.test"}})));
  EXPECT_EQ(cors({"*"}).origin(request("GET", {{"Origin", "null"}})), "null");
  EXPECT_FALSE(cors({}).origin(request("GET", {{"Origin", "https://a.test"}})));
}

TEST(Cors, APreflightIsAnsweredAndNothingElseIs) {
  const Cors named = cors({"https://a.test"});
  const auto answer = named.preflight(
      request("OPTIONS", {{"Origin", "https://a.test"},
                          {"Access-Control-Request-Method", "POST"},
                          {"Access-Control-Request-Headers", "authorization, content-type"}}),
      "https://a.test");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 204);
  const auto field = [&](const char* name) {
    const std::string* value = answer->fields.find(name);
    return value != nullptr ? *value : std::string();
  };
  EXPECT_EQ(field("Access-Control-Allow-Origin"), "https://a.test");
  EXPECT_NE(field("Access-Control-Allow-Methods").find("POST"), std::string::npos);
  EXPECT_EQ(field("Access-Control-Allow-Headers"), "authorization, content-type");
  EXPECT_EQ(answer->fields.count("Access-Control-Allow-Credentials"), 0u);
  EXPECT_TRUE(answer->fields.has_token("Vary", "Origin"));
  EXPECT_FALSE(named.preflight(request("OPTIONS", {{"Origin", "https://a.test"}}), "x"));
  EXPECT_FALSE(named.preflight(request("POST", {{"Access-Control-Request-Method", "POST"}}), "x"));
}

TEST(Cors, WhatTheServiceSaidOfAnotherOriginIsReplaced) {
  Response response;
  response.fields.add("Access-Control-Allow-Origin", "http://127.0.0.1:11434");
  response.fields.add("Access-Control-Allow-Credentials", "true");
  response.fields.add("Access-Control-Expose-Headers", "X-A");
  response.fields.add("Vary", "Accept, Origin");
  cors({"*"}).allow(response.fields, "https://a.test");
  EXPECT_EQ(response.fields.count("Access-Control-Allow-Origin"), 1u);
  EXPECT_EQ(*response.fields.find("Access-Control-Allow-Origin"), "https://a.test");
  EXPECT_EQ(response.fields.count("Access-Control-Allow-Credentials"), 0u);
  EXPECT_EQ(*response.fields.find("Access-Control-Expose-Headers"), "X-A");
  EXPECT_EQ(response.fields.count("Vary"), 1u);
}

}  // namespace
}  // namespace leat::http
