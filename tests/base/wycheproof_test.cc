// C2SP/wycheproof, testvectors_v1/ed25519_test.json: signatures that careless verifiers take.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/crypto_util.h"
#include "base/signature.h"

namespace leat {
namespace {

std::string bytes(const nlohmann::json& hexadecimal) {
  return unhex(hexadecimal.get<std::string>()).value();
}

TEST(Wycheproof, Ed25519) {
  std::ifstream file(LEAT_WYCHEPROOF_ED25519);
  const auto all = nlohmann::json::parse(file);
  std::size_t tried = 0;
  for (const auto& group : all.at("testGroups")) {
    const std::string raw = bytes(group.at("publicKey").at("pk"));
    PublicKey key{};
    ASSERT_EQ(raw.size(), key.size());
    std::copy_n(raw.begin(), key.size(), key.begin());
    for (const auto& each : group.at("tests")) {
      const bool valid =
          verify(key, as_bytes(bytes(each.at("msg"))), as_bytes(bytes(each.at("sig"))));
      EXPECT_EQ(valid, each.at("result") == "valid")
          << "tcId " << each.at("tcId") << ": " << each.at("comment");
      ++tried;
    }
  }
  EXPECT_EQ(tried, all.at("numberOfTests"));
  EXPECT_GT(tried, 100u);
}

}  // namespace
}  // namespace leat
