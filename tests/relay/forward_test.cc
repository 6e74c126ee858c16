// What the relay changes in heads (threats 17 and 21, and the origin that tunnels share).
#include "relay/forward.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leat::relay {
namespace {

std::string value(const http::Fields& fields, std::string_view name) {
  const std::string* found = fields.find(name);
  return found == nullptr ? "(none)" : *found;
}

http::Request request(std::vector<http::Field> fields) {
  http::Request out;
  out.method = "GET";
  out.target = "/tunnel/abc/x";
  for (const http::Field& field : fields) out.fields.add(field.name, field.value);
  return out;
}

const Route kRoute{Route::Kind::tunnel, "abc", "/x", "/tunnel/abc"};

TEST(RewriteRequest, SaysWhereTheVisitorComesFrom) {
  http::Request r = request({{"Host", "relay.example"}});
  rewrite_request(r, kRoute, {"192.0.2.1", true, "id1"});
  EXPECT_EQ(r.target, "/x");
  EXPECT_EQ(value(r.fields, "X-Forwarded-For"), "192.0.2.1");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Proto"), "https");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Host"), "relay.example");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Prefix"), "/tunnel/abc");
  EXPECT_EQ(value(r.fields, "Forwarded"), "for=192.0.2.1;proto=https;host=\"relay.example\"");
  EXPECT_EQ(value(r.fields, "X-Request-Id"), "id1");
}

TEST(RewriteRequest, QuotesAnAddressOfSixColons) {
  http::Request r = request({{"Host", "h"}});
  rewrite_request(r, kRoute, {"2001:db8::1", false, "id"});
  EXPECT_EQ(value(r.fields, "Forwarded"), "for=\"[2001:db8::1]\";proto=http;host=\"h\"");
}

TEST(RewriteRequest, BelievesNoVisitorAboutItself) {
  http::Request r = request({{"Host", "h"},
                             {"X-Forwarded-For", "127.0.0.1"},
                             {"x_forwarded_for", "127.0.0.1"},
                             {"Forwarded", "for=localhost"},
                             {"X-Real-IP", "127.0.0.1"},
                             {"Connection", "X-Secret"},
                             {"X-Secret", "hop"}});
  rewrite_request(r, kRoute, {"192.0.2.1", true, "id"});
  EXPECT_EQ(r.fields.count("X-Forwarded-For"), 1u);
  EXPECT_EQ(value(r.fields, "X-Forwarded-For"), "192.0.2.1");
  EXPECT_EQ(value(r.fields, "x_forwarded_for"), "(none)");
  EXPECT_EQ(value(r.fields, "X-Real-IP"), "(none)");
  EXPECT_EQ(value(r.fields, "X-Secret"), "(none)");
}

TEST(RequestId, IsTheVisitorsOnlyIfItIsPlain) {
  EXPECT_EQ(request_id_of(request({{"X-Request-Id", "a-Z_0.9"}})), "a-Z_0.9");
  for (const std::string& bad : {std::string("a b"), std::string("\"x"), std::string(65, 'a')}) {
    const std::string made = request_id_of(request({{"X-Request-Id", bad}}));
    EXPECT_NE(made, bad);
    EXPECT_EQ(made.size(), 16u);
  }
  EXPECT_NE(request_id_of(request({})), request_id_of(request({})));
}

std::string cookie(const std::string& set) {
  http::Fields fields;
  fields.add("Set-Cookie", set);
  confine_to_prefix(fields, "/tunnel/abc");
  return value(fields, "Set-Cookie");
}

TEST(SharedOrigin, CookiesStayInTheTunnel) {
  EXPECT_EQ(cookie("a=b"), "a=b; Path=/tunnel/abc/");
  EXPECT_EQ(cookie("a=b; Path=/; HttpOnly"), "a=b; HttpOnly; Path=/tunnel/abc/");
  EXPECT_EQ(cookie("a=b;path=/login;Secure"), "a=b; Secure; Path=/tunnel/abc/login");
  EXPECT_EQ(cookie("a=b; DOMAIN=example.com; Max-Age=5"), "a=b; Max-Age=5; Path=/tunnel/abc/");
  EXPECT_EQ(cookie("a=b; Path=relative"), "a=b; Path=/tunnel/abc/");
  EXPECT_EQ(cookie("a=b; Path=/one; Path=/two"), "a=b; Path=/tunnel/abc/two");
  EXPECT_EQ(cookie("a=b; Path"), "a=b; Path=/tunnel/abc/");
  EXPECT_EQ(cookie("a=b;;  ;"), "a=b; Path=/tunnel/abc/");
}

TEST(SharedOrigin, RedirectsStayInTheTunnel) {
  const auto location = [](const std::string& text) {
    http::Fields fields;
    fields.add("Location", text);
    confine_to_prefix(fields, "/tunnel/abc");
    return value(fields, "Location");
  };
  EXPECT_EQ(location("/login?next=/"), "/tunnel/abc/login?next=/");
  EXPECT_EQ(location("https://elsewhere.example/"), "https://elsewhere.example/");
  EXPECT_EQ(location("//elsewhere.example/"), "//elsewhere.example/");
  EXPECT_EQ(location("next"), "next");
}

TEST(SharedOrigin, NobodySpeaksForTheWholeOfIt) {
  http::Response response;
  response.fields.add("Service-Worker-Allowed", "/");
  response.fields.add("Clear-Site-Data", "\"*\"");
  response.fields.add("Strict-Transport-Security", "max-age=1");
  response.fields.add("Alt-Svc", "h3=\":443\"");
  response.fields.add("Report-To", "{\"group\":\"x\",\"max_age\":31536000,\"endpoints\":[]}");
  response.fields.add("nel", "{\"report_to\":\"x\",\"max_age\":31536000}");
  response.fields.add("Accept-CH", "Sec-CH-UA-Model");
  response.fields.add("Critical-CH", "Sec-CH-UA-Model");
  response.fields.add("Content-Type", "text/html");
  http::Response own_name = response;
  rewrite_response(response, "/tunnel/abc", 1, true, "id");
  EXPECT_EQ(response.fields.all().size(), 2u);  // Content-Type, X-Request-Id
  rewrite_response(own_name, "", 1, true, "id");
  EXPECT_EQ(value(own_name.fields, "Service-Worker-Allowed"), "/");
}

TEST(RewriteResponse, SaysWhetherTheConnectionGoesOn) {
  http::Response response;
  rewrite_response(response, "", 1, false, "id");
  EXPECT_EQ(value(response.fields, "Connection"), "close");
  http::Response old;
  rewrite_response(old, "", 0, true, "id");
  EXPECT_EQ(value(old.fields, "Connection"), "keep-alive");
}

}  // namespace
}  // namespace leat::relay
