// What the relay changes in heads (threats 17 and 21, and the origin that tunnels share).
#include "relay/forward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/limits.h"

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

// --- behind proxies of one's own (threat 17) ---

std::vector<Cidr> networks(const std::vector<const char*>& texts) {
  std::vector<Cidr> all;
  for (const char* text : texts) all.push_back(Cidr::parse(text).value());
  return all;
}

const std::vector<Cidr> kTrusted = networks({"10.0.0.0/8", "::1"});

// The request as a service sees it, when it came from `peer` over plain HTTP.
http::Request seen(std::vector<http::Field> fields, const std::string& peer) {
  http::Request r = request(std::move(fields));
  VisitorFacts facts = visitor_facts(r.fields, peer, false, kTrusted);
  facts.request_id = "id";
  rewrite_request(r, kRoute, facts);
  return r;
}

TEST(TrustedProxies, AreContinued) {
  const http::Request r = seen({{"Host", "inner"},
                                {"X-Forwarded-For", "203.0.113.5, 192.0.2.1"},
                                {"X-Forwarded-For", "10.0.0.2"},
                                {"X-Forwarded-Proto", "https"},
                                {"X-Forwarded-Host", "outer.example"},
                                {"X-Forwarded-Prefix", "/app"},
                                {"X-Real-IP", "203.0.113.5"},
                                {"X-Original-URL", "/admin"}},
                               "10.0.0.1");
  EXPECT_EQ(value(r.fields, "X-Forwarded-For"), "203.0.113.5, 192.0.2.1, 10.0.0.2, 10.0.0.1");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Proto"), "https");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Host"), "outer.example");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Prefix"), "/app/tunnel/abc");
  EXPECT_EQ(value(r.fields, "Forwarded"),
            "for=203.0.113.5;proto=https;host=\"outer.example\", for=192.0.2.1, for=10.0.0.2, "
            "for=10.0.0.1;proto=http;host=\"inner\"");
  EXPECT_EQ(value(r.fields, "X-Real-IP"), "(none)");
  EXPECT_EQ(value(r.fields, "X-Original-URL"), "(none)");
}

TEST(TrustedProxies, SpeakEitherLanguage) {
  const http::Request r = seen(
      {{"Host", "inner"},
       {"Forwarded", "for=\"[2001:db8::1]:4711\";proto=https;host=\"a.example\";by=_x, for=_hid"}},
      "10.0.0.1");
  EXPECT_EQ(value(r.fields, "X-Forwarded-For"), "[2001:db8::1]:4711, _hid, 10.0.0.1");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Proto"), "https");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Host"), "a.example");
  EXPECT_EQ(value(r.fields, "Forwarded"),
            "for=\"[2001:db8::1]:4711\";proto=https;host=\"a.example\", for=_hid, "
            "for=10.0.0.1;proto=http;host=\"inner\"");
  // What most proxies set is believed before what most of them pass on unread.
  const http::Request both =
      seen({{"Host", "h"}, {"Forwarded", "for=127.0.0.1"}, {"X-Forwarded-For", "192.0.2.1"}},
           "10.0.0.1");
  EXPECT_EQ(value(both.fields, "Forwarded"),
            "for=192.0.2.1;proto=http;host=\"h\", for=10.0.0.1;proto=http;host=\"h\"");
}

TEST(TrustedProxies, TheVisitorIsTheNearestThatIsNotOneOfThem) {
  const struct {
    const char *chain, *peer, *visitor;
  } kCases[] = {
      {"203.0.113.5, 192.0.2.1, 10.0.0.2", "10.0.0.1", "192.0.2.1"},
      {"192.0.2.1:5000", "10.0.0.1", "192.0.2.1"},
      {"[2001:db8::1]:5000", "::1", "2001:db8::1"},
      {"2001:db8::1", "10.0.0.1", "2001:db8::1"},
      {"10.0.0.3, 10.0.0.2", "10.0.0.1", "10.0.0.3"},
      {"192.0.2.1, unknown, 10.0.0.2", "10.0.0.1", "10.0.0.2"},
      {"192.0.2.1, 1\"2, 10.0.0.2", "10.0.0.1", "10.0.0.2"},
      {"", "10.0.0.1", "10.0.0.1"},
      {",,", "10.0.0.1", "10.0.0.1"},
      {"127.0.0.1", "192.0.2.9", "192.0.2.9"},
  };
  for (const auto& each : kCases) {
    const http::Request r = request({{"Host", "h"}, {"X-Forwarded-For", each.chain}});
    EXPECT_EQ(visitor_facts(r.fields, each.peer, false, kTrusted).address, each.visitor)
        << each.chain << " by " << each.peer;
  }
}

TEST(TrustedProxies, AreThoseOfTheListAlone) {
  const http::Request r = seen({{"Host", "h"},
                                {"X-Forwarded-For", "127.0.0.1"},
                                {"X-Forwarded-Proto", "https"},
                                {"X-Forwarded-Host", "evil.example"},
                                {"X-Forwarded-Prefix", "/evil"},
                                {"Forwarded", "for=127.0.0.1;proto=https"}},
                               "11.0.0.1");
  EXPECT_EQ(value(r.fields, "X-Forwarded-For"), "11.0.0.1");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Proto"), "http");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Host"), "h");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Prefix"), "/tunnel/abc");
  EXPECT_EQ(value(r.fields, "Forwarded"), "for=11.0.0.1;proto=http;host=\"h\"");
}

// A chain of any length, and of anything, becomes one that is short and of sane words.
TEST(TrustedProxies, SayOnlyWhatCanBeRepeated) {
  std::string chain;
  for (int i = 0; i < 1000; ++i) chain += "192.0.2.1, ";
  const http::Request r = seen({{"Host", "h"},
                                {"X-Forwarded-For", chain + "a b, \"q\", " + std::string(65, 'x')},
                                {"X-Forwarded-Host", "evil host"},
                                {"X-Forwarded-Prefix", "evil"},
                                {"X-Forwarded-Proto", "gopher"}},
                               "10.0.0.1");
  const std::string all = value(r.fields, "X-Forwarded-For");
  EXPECT_EQ(std::count(all.begin(), all.end(), ','), static_cast<long>(limits::kForwardedChain));
  EXPECT_TRUE(all.ends_with("192.0.2.1, unknown, unknown, unknown, 10.0.0.1")) << all;
  EXPECT_EQ(value(r.fields, "X-Forwarded-Host"), "h");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Prefix"), "/tunnel/abc");
  EXPECT_EQ(value(r.fields, "X-Forwarded-Proto"), "http");
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

const Place kPlace{"/tunnel/abc", "/app/tunnel/abc", "relay.example:8443", "outer.example"};

std::string cookie(const std::string& set) {
  http::Fields fields;
  fields.add("Set-Cookie", set);
  confine_to_prefix(fields, kPlace);
  return value(fields, "Set-Cookie");
}

std::string location(const std::string& text) {
  http::Fields fields;
  fields.add("Location", text);
  confine_to_prefix(fields, kPlace);
  return value(fields, "Location");
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

// It was told in X-Forwarded-Prefix where it is.
TEST(SharedOrigin, AServiceMayKnowItsPrefix) {
  EXPECT_EQ(cookie("a=b; Path=/tunnel/abc/"), "a=b; Path=/tunnel/abc/");
  EXPECT_EQ(cookie("a=b; Path=/tunnel/abc"), "a=b; Path=/tunnel/abc");
  EXPECT_EQ(cookie("a=b; Path=/tunnel/abc/login"), "a=b; Path=/tunnel/abc/login");
  EXPECT_EQ(cookie("a=b; Path=/app/tunnel/abc/"), "a=b; Path=/app/tunnel/abc/");
  EXPECT_EQ(cookie("a=b; Path=/tunnel/abcd"), "a=b; Path=/tunnel/abc/tunnel/abcd");
  EXPECT_EQ(cookie("a=b; Path=/app"), "a=b; Path=/tunnel/abc/app");
  for (const char* own : {"/tunnel/abc/login", "/tunnel/abc", "/tunnel/abc?a", "/tunnel/abc#a",
                          "/app/tunnel/abc/login", "https://relay.example:8443/tunnel/abc/login"}) {
    EXPECT_EQ(location(own), own);
  }
  EXPECT_EQ(location("/tunnel/abcd"), "/tunnel/abc/tunnel/abcd");
  EXPECT_EQ(location("/app/login"), "/tunnel/abc/app/login");
}

TEST(SharedDomain, CookiesStayWithTheHost) {
  const auto kept = [](const std::string& text) {
    http::Fields fields;
    fields.add("Set-Cookie", text);
    confine_to_host(fields);
    return value(fields, "Set-Cookie");
  };
  EXPECT_EQ(kept("a=b; Domain=relay.test; Path=/x"), "a=b; Path=/x");
  EXPECT_EQ(kept("a=b;domain = .relay.test;Secure"), "a=b; Secure");
  EXPECT_EQ(kept("a=b; Domain=x; Domain=relay.test"), "a=b");
  EXPECT_EQ(kept("a=Domain=relay.test; HttpOnly"), "a=Domain=relay.test; HttpOnly");
  EXPECT_EQ(kept("__Host-a=b; Path=/; Secure"), "__Host-a=b; Path=/; Secure");
}

TEST(SharedOrigin, RedirectsStayInTheTunnel) {
  EXPECT_EQ(location("/login?next=/"), "/tunnel/abc/login?next=/");
  EXPECT_EQ(location("https://elsewhere.example/"), "https://elsewhere.example/");
  EXPECT_EQ(location("//elsewhere.example/"), "//elsewhere.example/");
  EXPECT_EQ(location("next"), "next");
  EXPECT_EQ(location(""), "");
}

TEST(SharedOrigin, IsNamedByItsHostToo) {
  EXPECT_EQ(location("https://relay.example:8443/login"),
            "https://relay.example:8443/tunnel/abc/login");
  // A path of another tunnel is one where the relay is named, and the service's own where it is
  // not.
  for (const char* other :
       {"https://relay.example:8443/tunnel/auth/login?x", "//outer.example/tunnel/abcd/"}) {
    EXPECT_EQ(location(other), other);
  }
  EXPECT_EQ(location("/tunnel/auth/login"), "/tunnel/abc/tunnel/auth/login");
  EXPECT_EQ(location("https://relay.example:8443/t/topic"),
            "https://relay.example:8443/tunnel/abc/t/topic");
  EXPECT_EQ(location("https://relay.example:8443/tunnel/%2e/"),
            "https://relay.example:8443/tunnel/abc/tunnel/%2e/");
  EXPECT_EQ(location("HTTP://Relay.example:8443?a"), "HTTP://Relay.example:8443/tunnel/abc/?a");
  EXPECT_EQ(location("http://outer.example"), "http://outer.example/tunnel/abc/");
  EXPECT_EQ(location("//outer.example//x"), "//outer.example/tunnel/abc//x");
  for (const char* other :
       {"https://relay.example/", "https://relay.example:8443.evil.test/", "https:///login",
        "https://relay.example:8443@evil.test/", "ftp://relay.example:8443/", "https:/login",
        "https:\\relay.example:8443/", "https:relay.example:8443/"}) {
    EXPECT_EQ(location(other), other);
  }
}

TEST(SharedOrigin, IsThatOfTheRequestAsTheServiceSeesIt) {
  const Place place = place_of(seen({{"Host", "inner"},
                                     {"X-Forwarded-Host", "outer.example"},
                                     {"X-Forwarded-Prefix", "/app"}},
                                    "10.0.0.1"),
                               kRoute.prefix);
  EXPECT_EQ(place.prefix, "/tunnel/abc");
  EXPECT_EQ(place.told, "/app/tunnel/abc");
  EXPECT_EQ(place.host, "inner");
  EXPECT_EQ(place.as, "outer.example");
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
  rewrite_response(response, kPlace, 1, true, "id");
  EXPECT_EQ(response.fields.all().size(), 2u);  // Content-Type, X-Request-Id
  rewrite_response(own_name, {}, 1, true, "id");
  EXPECT_EQ(value(own_name.fields, "Service-Worker-Allowed"), "/");
}

TEST(RewriteResponse, SaysWhetherTheConnectionGoesOn) {
  http::Response response;
  rewrite_response(response, {}, 1, false, "id");
  EXPECT_EQ(value(response.fields, "Connection"), "close");
  http::Response old;
  rewrite_response(old, {}, 0, true, "id");
  EXPECT_EQ(value(old.fields, "Connection"), "keep-alive");
}

}  // namespace
}  // namespace leat::relay
