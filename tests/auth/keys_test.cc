// Files of keys: what is taken, what is left out, what is refused.
#include "auth/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>

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

std::string pem_of(const std::string& der_hex) {
  const std::string raw = unhex(der_hex).value();
  const Bytes der = as_bytes(raw);
  std::string text(4 * (der.size() / 3 + 1) + 1, '\0');
  text.resize(static_cast<std::size_t>(EVP_EncodeBlock(
      reinterpret_cast<unsigned char*>(text.data()), der.data(), static_cast<int>(der.size()))));
  return "-----BEGIN PUBLIC KEY-----\n" + text + "\n-----END PUBLIC KEY-----\n";
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

// Whose key stays is known by it after the file was written anew, in another order or form.
TEST(Keys, AreKnownByTheirValue) {
  const std::string secret(32, 's'), other(32, 'o');
  const std::string jwk = R"({"kty":"oct","kid":"new","k":")" + encode(secret) + "\"}";
  const KeySet line = KeySet::parse(secret).value(), set = KeySet::parse(jwk).value();
  const Sha256& known = line.keys()[0].fingerprint();
  EXPECT_TRUE(set.has(known));
  EXPECT_FALSE(KeySet::parse(other)->has(known));
  for (const auto& make : {+[] { return Signer::rsa(); }, +[] { return Signer::ec(); },
                           +[] { return Signer::ed25519(); }}) {
    const std::string ours = make().public_pem(), theirs = make().public_pem();
    const KeySet one = KeySet::parse(ours).value();
    const Sha256& its = one.keys()[0].fingerprint();
    EXPECT_TRUE(KeySet::parse(theirs + ours)->has(its));
    EXPECT_FALSE(KeySet::parse(theirs)->has(its));
    EXPECT_FALSE(set.has(its));
  }
}

// A point may be written in two ways, and a key in two formats.
TEST(Keys, AreKnownInWhicheverFormTheyAreWritten) {
  const std::string jwk =
      R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
      R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";  // RFC 7515 §A.3.1
  const std::string raw = unbase64url("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").value();
  const std::string y = unbase64url("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").value();
  const std::string p256 = "301306072a8648ce3d020106082a8648ce3d030107";  // RFC 5480 §2.1.1
  const std::string compressed =
      "3039" + p256 + "032200" + (y.back() & 1 ? "03" : "02") + hex(as_bytes(raw));
  const std::string whole = "3059" + p256 + "034200" + "04" + hex(as_bytes(raw + y));
  const Sha256 known = KeySet::parse(jwk)->keys()[0].fingerprint();
  for (const std::string& der : {compressed, whole}) {
    const auto set = KeySet::parse(pem_of(der));
    ASSERT_TRUE(set) << set.error().text();
    EXPECT_TRUE(set->has(known));
  }
  expect_refused(pem_of("3019" + p256 + "03020000"), "P-256");  // the point at infinity
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

// What is between the lines of a PEM.
std::string body_of(const std::string& pem) {
  const std::size_t from = pem.find('\n') + 1;
  return pem.substr(from, pem.rfind("-----END") - from);
}

std::string der_of(std::string body) {
  std::erase(body, '\n');
  while (body.ends_with('=')) body.pop_back();
  std::ranges::replace(body, '+', '-');
  std::ranges::replace(body, '/', '_');
  return unbase64url(body).value();
}

std::string ed25519_jwk() {
  const std::string der = der_of(body_of(Signer::ed25519().public_pem()));
  return R"({"kty":"OKP","crv":"Ed25519","kid":"a","x":")" + encode(der.substr(der.size() - 32)) +
         "\"}";
}

// Public texts, or such with a fault: with one of them as its secret anybody could sign (the
// confusion of algorithms that a token cannot bring about, brought about by a file).
TEST(Keys, WhatIsPublicIsNoSecret) {
  const std::string pem = Signer::ec().public_pem(), jwk = ed25519_jwk();
  const std::string body = body_of(pem), der = der_of(body), line = base64(as_bytes(der));
  const std::string ssh = "AAAAC3NzaC1lZDI1NTE5AAAAI" + std::string(43, 'x');
  const std::string texts[] = {
      "[" + jwk + "]",                                // a list of JWKs
      "\xef\xbb\xbf[" + jwk + "]",                    // … with a byte order mark
      "jwks=" + jwk,                                  // assigned
      "\"kty\":\"OKP\"," + jwk.substr(1),             // with its first byte lost
      pem.substr(1),                                  // PEM: a damaged first line
      "----BEGIN" + pem.substr(10),                   //
      pem.substr(pem.find('\n') + 1),                 // … or none
      body,                                           // … or just its middle
      line,                                           // … on one line
      line.substr(0, 117),                            // … cut off
      hex(as_bytes(der)),                             // …
      der,                                            // DER
      "ssh-ed25519 " + ssh + " ann@home",             // OpenSSH
      ssh,                                            //
      "https://id.example/.well-known/jwks.json",     // where a JWKS is
      "<!doctype_html><title>404 Not Found</title>",  // … or is not
      std::string(32, '\xe9'),                        // not ASCII
      std::string(31, 'x') + std::string(1, '\0') + "x",
  };
  for (const std::string& text : texts) expect_refused(text, "expected a JWKS");
}

TEST(Keys, SecretsAsTheyAreMade) {
  for (const std::string& text : {
           std::string("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
           std::string("4Yl9qZx+2/1uJbV0oYw3bJm3p0b3n8q5m0Zk1V8s9yA="),
           std::string("\xef\xbb\xbf 4Yl9qZx-2_1uJbV0oYw3bJm3p0b3n8q5m0Zk1V8s9yA\r\n"),
           std::string("correct-horse-battery-staple-{[<]}"),
       }) {
    const auto set = KeySet::parse(text);
    ASSERT_TRUE(set) << text;
    EXPECT_TRUE(set->has_secret());
  }
}

TEST(Keys, AByteOrderMarkIsNoPartOfAJwks) {
  const auto set = KeySet::parse("\xef\xbb\xbf{\"keys\":[" + ed25519_jwk() + "]}");
  ASSERT_TRUE(set) << set.error().detail;
  EXPECT_EQ(set->keys().at(0).algorithm(), Algorithm::eddsa);
  EXPECT_FALSE(set->has_secret());
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

std::string rsa_jwk(std::size_t bytes, const std::string& exponent = std::string("\1\0\1", 3)) {
  return R"({"kty":"RSA","e":")" + encode(exponent) + R"(","n":")" +
         encode(std::string(bytes, '\xff')) + "\"}";
}

// What others bring may cost less than what the operator chose.
TEST(Keys, OfGuestsAreFewAndShort) {
  std::string nine;
  for (int i = 0; i < 9; ++i) nine += (i == 0 ? "" : ",") + rsa_jwk(256);
  const std::string many = R"({"keys":[)" + nine + "]}", longer = rsa_jwk(513);
  EXPECT_TRUE(KeySet::parse(many));
  EXPECT_TRUE(KeySet::parse(longer));
  EXPECT_EQ(KeySet::parse(many, kGuestKeys).error().detail, "more than 8 keys");
  EXPECT_EQ(KeySet::parse(longer, kGuestKeys).error().detail, "an RSA key of more than 4096 bits");
  EXPECT_TRUE(
      KeySet::parse(R"({"keys":[)" + nine.substr(rsa_jwk(256).size() + 1) + "]}", kGuestKeys));
  EXPECT_TRUE(KeySet::parse(rsa_jwk(512), kGuestKeys));
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
  expect_refused(rsa_jwk(256, std::string("\1\0\0\0\1", 5)), "no key");  // an exponent of 33 bits
  EXPECT_TRUE(KeySet::parse(rsa_jwk(256, std::string(4, '\xff'))));
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
