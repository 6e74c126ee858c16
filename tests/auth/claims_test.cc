// Claims of a token whose signature is good: time, audience, issuer, owner (threat 29).
#include "auth/claims.h"

#include <gtest/gtest.h>

#include "auth/signer.h"

namespace leat::auth {
namespace {

using namespace std::chrono_literals;

const std::string kSecret(32, 's');
constexpr std::chrono::seconds kNow = 1'700'000'000s;

Verified<Claims> check(const std::string& payload, const Expectations& expected = {}) {
  static const KeySet keys = KeySet::parse(kSecret).value();
  return verify_jwt(test::Signer::hmac(kSecret).sign(payload), keys, expected, kNow);
}

TEST(Claims, AreRead) {
  const auto claims = check(
      R"({"sub":"alice@example.com","exp":1700000100,"plan":"pro","tunnels":["chat","lab-*"]})");
  ASSERT_TRUE(claims) << describe(claims.error());
  EXPECT_EQ(claims->subject, "alice@example.com");
  EXPECT_EQ(claims->expires, 1'700'000'100s);
  EXPECT_EQ(claims->plan, "pro");
  EXPECT_TRUE(KeySet::parse(kSecret)->has(claims->key));
  EXPECT_TRUE(claims->allows("chat"));
  EXPECT_TRUE(claims->allows("lab-7"));
  EXPECT_FALSE(claims->allows("chat2"));
  EXPECT_FALSE(claims->allows("other"));
  EXPECT_TRUE(check(R"({"sub":"a","exp":1700000100})")->allows("anything"));
  EXPECT_FALSE(check(R"({"sub":"a","exp":1700000100,"tunnels":[]})")->allows("anything"));
}

TEST(Claims, AHostIsNamedWhole) {
  const auto some =
      check(R"({"sub":"a","exp":1700000100,"tunnels":["web-*","www.example.org","lab*"]})");
  ASSERT_TRUE(some);
  EXPECT_TRUE(some->allows_host("www.example.org"));
  EXPECT_FALSE(some->allows_host("example.org"));
  EXPECT_FALSE(some->allows_host("web-shop.example.org")) << "begins as an id does";
  EXPECT_FALSE(some->allows_host("lab.example.org"));
  EXPECT_TRUE(check(R"({"sub":"a","exp":1700000100})")->allows_host("any.example.org"));
  EXPECT_TRUE(
      check(R"({"sub":"a","exp":1700000100,"tunnels":["*"]})")->allows_host("any.example.org"));
  const std::string longest = std::string(251, 'x') + ".y";
  EXPECT_TRUE(check(R"({"sub":"a","exp":1700000100,"tunnels":[")" + longest + "\"]}")
                  ->allows_host(longest));
}

TEST(Claims, TimeHasALeewayAndNoMore) {
  const auto expiring = [&](std::int64_t exp) {
    return check(R"({"sub":"a","exp":)" + std::to_string(exp) + "}");
  };
  EXPECT_TRUE(expiring(1'700'000'000 - 59));
  EXPECT_EQ(expiring(1'700'000'000 - 60).error(), Fault::expired);
  EXPECT_TRUE(check(R"({"sub":"a","exp":1700000000.5})"));
  const auto from = [&](std::int64_t nbf) {
    return check(R"({"sub":"a","exp":1800000000,"nbf":)" + std::to_string(nbf) + "}");
  };
  EXPECT_TRUE(from(1'700'000'060));
  EXPECT_EQ(from(1'700'000'061).error(), Fault::not_yet);
  const Expectations strict{.audience = {}, .issuer = {}, .leeway = 0s};
  EXPECT_EQ(check(R"({"sub":"a","exp":1700000000})", strict).error(), Fault::expired);
}

TEST(Claims, WhatIsMissingOrOfTheWrongTypeIsRefused) {
  for (const char* payload :
       {R"({"exp":1800000000})", R"({"sub":"a"})", R"({"sub":"","exp":1800000000})",
        R"({"sub":7,"exp":1800000000})", R"({"sub":"a\nb","exp":1800000000})",
        R"({"sub":"a","exp":"1800000000"})", R"({"sub":"a","exp":-1})",
        R"({"sub":"a","exp":1e300})", R"({"sub":"a","exp":null})", R"({"sub":"a","exp":true})",
        R"({"sub":"a","exp":1800000000,"nbf":"x"})", R"({"sub":"a","exp":1800000000,"plan":7})",
        R"({"sub":"a","exp":1800000000,"tunnels":"chat"})",
        R"({"sub":"a","exp":1800000000,"tunnels":[7]})"}) {
    EXPECT_EQ(check(payload).error(), Fault::claims) << payload;
  }
  for (const char* payload : {"", "x", "[]", "null", R"({"sub":"a","sub":"b","exp":1800000000})",
                              R"({"sub":"a","exp":1800000000}x)"}) {
    EXPECT_EQ(check(payload).error(), Fault::malformed) << payload;
  }
  EXPECT_EQ(check(R"({"sub":")" + std::string(256, 'a') + R"(","exp":1800000000})").error(),
            Fault::claims);
}

TEST(Claims, TheAudienceIsUs) {
  const Expectations us{.audience = "relay", .issuer = {}};
  const auto for_audience = [&](const std::string& aud, const Expectations& expected) {
    return check(R"({"sub":"a","exp":1800000000,"aud":)" + aud + "}", expected);
  };
  EXPECT_TRUE(for_audience(R"("relay")", us));
  EXPECT_TRUE(for_audience(R"(["other","relay"])", us));
  for (const char* aud :
       {R"("other")", R"(["other"])", "[]", "7", "null", R"("Relay")", R"([["relay"]])"}) {
    EXPECT_EQ(for_audience(aud, us).error(), Fault::audience) << aud;
  }
  EXPECT_EQ(check(R"({"sub":"a","exp":1800000000})", us).error(), Fault::audience);
  EXPECT_EQ(for_audience(R"("relay")", {}).error(), Fault::audience)
      << "RFC 7519 §4.1.3: meant for somebody, and we do not know that it is us";
}

TEST(Claims, TheIssuerIsTheOneConfigured) {
  const Expectations one{.audience = {}, .issuer = "https://id.example"};
  EXPECT_TRUE(check(R"({"sub":"a","exp":1800000000,"iss":"https://id.example"})", one));
  EXPECT_EQ(check(R"({"sub":"a","exp":1800000000,"iss":"https://id.example/"})", one).error(),
            Fault::issuer);
  EXPECT_EQ(check(R"({"sub":"a","exp":1800000000})", one).error(), Fault::issuer);
}

}  // namespace
}  // namespace leat::auth
