// Signed tokens: every algorithm, and what somebody without the key may try (threat 29).
#include "auth/jws.h"

#include <gtest/gtest.h>

#include "auth/signer.h"

namespace leat::auth {
namespace {

using test::encode;
using test::Signer;

const std::string kSecret(32, 's');

KeySet keys(std::string_view text) { return KeySet::parse(text).value(); }

TEST(Jws, EveryAlgorithmVerifies) {
  for (const Signer& signer : {Signer::rsa(), Signer::ec(), Signer::ed25519()}) {
    const auto verified = verify_jws(signer.sign("payload"), keys(signer.public_pem()));
    ASSERT_TRUE(verified) << signer.algorithm() << ": " << describe(verified.error());
    EXPECT_EQ(verified->payload, "payload");
  }
  EXPECT_EQ(verify_jws(Signer::hmac(kSecret).sign("payload"), keys(kSecret))->payload, "payload");
  EXPECT_EQ(verify_jws(Signer::hmac(kSecret).sign(""), keys(kSecret))->payload, "");
}

TEST(Jws, OneChangedBitIsSeenWhereverItIs) {
  const Signer signer = Signer::ed25519();
  const KeySet set = keys(signer.public_pem());
  const std::string good = signer.sign("a payload");
  ASSERT_TRUE(verify_jws(good, set));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const int bit : {0, 1, 5}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 1 << bit);
      EXPECT_FALSE(verify_jws(bad, set)) << i << " bit " << bit;
    }
    EXPECT_FALSE(verify_jws(good.substr(0, i), set)) << "cut to " << i;
  }
}

TEST(Jws, NoneIsRefusedHoweverItIsSpelt) {
  for (const char* name : {"none", "None", "NONE", "nOnE", ""}) {
    const std::string header = std::string("{\"alg\":\"") + name + "\"}";
    const auto verified = verify_jws(encode(header) + "." + encode("x") + ".", keys(kSecret));
    ASSERT_FALSE(verified) << name;
    EXPECT_EQ(verified.error(), Fault::unsupported);
  }
}

TEST(Jws, APublicKeyIsNoSecret) {
  const Signer rsa = Signer::rsa();
  const std::string pem = rsa.public_pem();
  const auto verified = verify_jws(Signer::hmac(pem).sign("admin"), keys(pem));
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error(), Fault::unknown_key) << "it has one algorithm, and not that one";
  // Nor does another public-key algorithm get it.
  const auto crossed = verify_jws(rsa.sign(R"({"alg":"ES256"})", "admin"), keys(pem));
  EXPECT_EQ(crossed.error(), Fault::unknown_key);
}

TEST(Jws, AKeyInTheTokenIsNotTaken) {
  const Signer ours = Signer::ec(), theirs = Signer::ec();
  const std::string header = R"({"alg":"ES256","jwk":{"kty":"EC","crv":"P-256"},"x5c":["AAAA"]})";
  EXPECT_EQ(verify_jws(theirs.sign(header, "x"), keys(ours.public_pem())).error(),
            Fault::signature);
}

TEST(Jws, HeadersThatTwoReadersCouldReadDifferently) {
  const Signer signer = Signer::hmac(kSecret);
  const KeySet set = keys(kSecret);
  ASSERT_TRUE(verify_jws(signer.sign(R"( {"typ" : "JWT", "alg":"HS256"} )", "x"), set));
  for (const char* header : {R"({"alg":"HS256","alg":"HS256"})", R"({"alg":"none","alg":"HS256"})",
                             R"({"alg":"HS256","x":{"a":1,"a":2}})", R"({"alg":["HS256"]})",
                             R"({"alg":null})", R"({})", R"(["HS256"])", R"({"alg":"HS256"}{})",
                             R"({"alg":"HS256",})", "{'alg':'HS256'}", R"({"alg":"HS256","kid":7})",
                             R"({"alg":"HS256"} // comment)", "{\"alg\":\"HS256\",\"\xff\":1}"}) {
    EXPECT_EQ(verify_jws(signer.sign(header, "x"), set).error(), Fault::malformed) << header;
  }
  EXPECT_EQ(
      verify_jws(signer.sign(R"({"alg":"HS256","crit":["b64"],"b64":false})", "x"), set).error(),
      Fault::unsupported);
  EXPECT_EQ(verify_jws(signer.sign(R"({"alg":"HS512"})", "x"), set).error(), Fault::unsupported);
}

TEST(Jws, NestingAndSizeAreBounded) {
  const Signer signer = Signer::hmac(kSecret);
  const KeySet set = keys(kSecret);
  const auto nested = [&](std::size_t depth) {
    return signer.sign(
        R"({"alg":"HS256","x":)" + std::string(depth, '[') + std::string(depth, ']') + "}", "x");
  };
  EXPECT_TRUE(verify_jws(nested(8), set));
  EXPECT_EQ(verify_jws(nested(32), set).error(), Fault::malformed);
  EXPECT_EQ(verify_jws(nested(5000), set).error(), Fault::malformed);
  EXPECT_TRUE(verify_jws(signer.sign(std::string(12000, 'x')), set));
  EXPECT_EQ(verify_jws(signer.sign(std::string(kToken, 'x')), set).error(), Fault::malformed);
}

TEST(Jws, Base64IsCanonical) {
  const Signer signer = Signer::hmac(kSecret);
  const KeySet set = keys(kSecret);
  const std::string good = signer.sign("x");
  for (const std::string& bad :
       {good + "=", good + "AA", " " + good, good + "\n", "." + good, good + ".", std::string(".."),
        std::string(), std::string("a.b")}) {
    EXPECT_EQ(verify_jws(bad, set).error(), Fault::malformed) << bad;
  }
}

TEST(Jws, KeysAreChosenByIdAndRotate) {
  const std::string first(32, '1'), second(32, '2');
  const auto jwk = [](const std::string& id, const std::string& secret) {
    return R"({"kty":"oct","kid":")" + id + R"(","k":")" + encode(secret) + R"("})";
  };
  const KeySet both = keys(R"({"keys":[)" + jwk("old", first) + "," + jwk("new", second) + "]}");
  const auto sign = [&](const std::string& secret, const std::string& id) {
    return Signer::hmac(secret).sign(R"({"alg":"HS256","kid":")" + id + R"("})", "x");
  };
  EXPECT_TRUE(verify_jws(sign(first, "old"), both));
  EXPECT_TRUE(verify_jws(sign(second, "new"), both));
  EXPECT_TRUE(verify_jws(Signer::hmac(second).sign("x"), both)) << "no id: each is tried";
  EXPECT_EQ(verify_jws(sign(first, "new"), both).error(), Fault::signature);
  EXPECT_EQ(verify_jws(sign(first, "other"), both).error(), Fault::unknown_key);
}

}  // namespace
}  // namespace leat::auth
