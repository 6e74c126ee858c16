// Files of keys: what is taken, what is left out, what is refused.
#include "auth/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/signer.h"
#include "base/file.h"
#include "support/temp_dir.h"

namespace leat::auth {
namespace {

using test::encode;
using test::Signer;

void expect_refused(std::string_view text, std::string_view why) {
  const auto set = KeySet::parse(text);
  ASSERT_FALSE(set) << text;
  EXPECT_EQ(set.error().code, Code::KEY_FILE);
  EXPECT_THAT(set.error().detail, testing::HasSubstr(std::string(why)));
}

TEST(Keys, PemGivesTheAlgorithm) {
  const std::string all =
      Signer::rsa().public_pem() + Signer::ec().public_pem() + Signer::ed25519().public_pem();
  const auto set = KeySet::parse("a comment\n" + all).value();
  ASSERT_EQ(set.keys().size(), 3u);
  EXPECT_EQ(set.keys()[0].algorithm(), Algorithm::rs256);
  EXPECT_EQ(set.keys()[1].algorithm(), Algorithm::es256);
  EXPECT_EQ(set.keys()[2].algorithm(), Algorithm::eddsa);
  EXPECT_FALSE(set.has_secret());
}

TEST(Keys, WeakOrUnusablePemIsRefused) {
  expect_refused(Signer::rsa(1024).public_pem(), "2048");
  expect_refused(Signer::ec("P-384").public_pem(), "P-256");
  expect_refused(Signer::ec().private_pem(), "PRIVATE KEY: expected public keys");
  expect_refused("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "PUBLIC KEY");
  expect_refused("-----BEGIN PUBLIC KEY-----\nAAAA\n", "no key");
  expect_refused(Signer::ec().public_pem() + Signer::rsa(1024).public_pem(), "2048");
}

TEST(Keys, ASecretHas32Bytes) {
  EXPECT_TRUE(KeySet::parse(std::string(32, 'x')));
  expect_refused(std::string(31, 'x'), "32 bytes");
  expect_refused(" \n" + std::string(31, 'x') + "\n", "32 bytes");
  expect_refused("", "32 bytes");
  expect_refused(std::string(kKeyFile + 1, 'x'), "64 KiB");
}

// Everybody knows a public key: who could sign with it as a secret could be anybody.
TEST(Keys, WhatLooksLikeAPublicKeyIsNoSecret) {
  const std::string jwk =
      R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";
  EXPECT_EQ(KeySet::parse("\xef\xbb\xbf" + jwk).value().keys().front().algorithm(),
            Algorithm::eddsa)
      << "with a byte order mark it is what it was";
  const std::string base64 = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
  for (const std::string& text :
       {"[" + jwk + "]", "keys: " + jwk, base64, "----BEGIN PUBLIC KEY-----\n" + base64,
        base64 + "\n-----END PUBLIC KEY-----",
        std::string("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtleWtleWtleWtleWtleWtleWtleWtl a@b"),
        std::string("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21") + std::string(33, 'k'),
        std::string(32, 'x') + "\xff", std::string(16, 'x') + "\n" + std::string(16, 'x')}) {
    expect_refused(text, "secret");
  }
  EXPECT_TRUE(KeySet::parse("correct horse battery staple {}[] and more"));
  EXPECT_TRUE(KeySet::parse("TUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FF\n"));
}

TEST(Keys, AJwksIsReadStrictly) {
  const std::string good = R"({"kty":"oct","kid":"a","k":")" + encode(std::string(32, 'x')) + "\"}";
  EXPECT_EQ(KeySet::parse(good).value().keys().front().id(), "a") << "a single JWK";
  EXPECT_EQ(KeySet::parse(R"({"keys":[)" + good + "," + good + "]}").value().keys().size(), 2u);
  // RFC 7517 §5: what is not understood is left out, the rest stays.
  const auto some = KeySet::parse(
      R"({"keys":[{"kty":"future"},{"kty":"EC","crv":"P-521","x":"AA","y":"AA"},7,)" + good + "]}");
  EXPECT_EQ(some.value().keys().size(), 1u);
  expect_refused(R"({"keys":[]})", "no key");
  expect_refused(R"({"keys":{}})", "no list");
  expect_refused(R"({"keys":[],"keys":[]})", "member twice");
  expect_refused(R"({"kty":"oct","k":"AAAA"})", "no key");
  expect_refused(R"({"kty":"oct","alg":"HS512","k":")" + encode(std::string(64, 'x')) + "\"}",
                 "no key");
  // A point that is not on the curve, an exponent of 1, a modulus without end.
  expect_refused(R"({"kty":"EC","crv":"P-256","x":")" + encode(std::string(32, 'x')) +
                     R"(","y":")" + encode(std::string(32, 'y')) + "\"}",
                 "no key");
  expect_refused(R"({"kty":"RSA","e":"AQ","n":")" + encode(std::string(256, '\xff')) + "\"}",
                 "no key");
  expect_refused(R"({"kty":"RSA","e":"AQAB","n":")" + encode(std::string(2000, '\xff')) + "\"}",
                 "no key");
  expect_refused(R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})", "no key");
}

TEST(Keys, AFileWithASecretIsPrivate) {
  const leat::test::TempDir dir;
  const std::string secret = dir / "secret", open = dir / "open.pem";
  ASSERT_TRUE(write_file(secret, std::string(32, 'x'), 0644, Code::KEY_FILE));
  ASSERT_TRUE(write_file(open, Signer::ec().public_pem(), 0644, Code::KEY_FILE));
  const auto refused = KeySet::load(secret);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().detail, testing::HasSubstr("0644"));
  EXPECT_TRUE(KeySet::load(open));
  ASSERT_TRUE(write_file(secret, std::string(32, 'x'), 0600, Code::KEY_FILE));
  EXPECT_TRUE(KeySet::load(secret));
  EXPECT_THAT(KeySet::load(dir / "none").error().detail, testing::HasSubstr("none"));
}

}  // namespace
}  // namespace leat::auth
