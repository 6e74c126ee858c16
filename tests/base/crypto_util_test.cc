#include "base/crypto_util.h"

#include <gtest/gtest.h>

#include <set>

namespace leat {
namespace {

// RFC 4648 §10; base32 lower-case and unpadded as ours is, base64url without its padding.
TEST(Encodings, Rfc4648Vectors) {
  const struct {
    const char *plain, *base16, *base32, *base64;
  } kVectors[] = {
      {"", "", "", ""},
      {"f", "66", "my", "Zg=="},
      {"fo", "666f", "mzxq", "Zm8="},
      {"foo", "666f6f", "mzxw6", "Zm9v"},
      {"foob", "666f6f62", "mzxw6yq", "Zm9vYg=="},
      {"fooba", "666f6f6261", "mzxw6ytb", "Zm9vYmE="},
      {"foobar", "666f6f626172", "mzxw6ytboi", "Zm9vYmFy"},
  };
  for (const auto& each : kVectors) {
    const Bytes plain = as_bytes(each.plain);
    const std::string unpadded =
        std::string(each.base64).substr(0, std::string(each.base64).find('='));
    EXPECT_EQ(hex(plain), each.base16);
    EXPECT_EQ(base32(plain), each.base32);
    EXPECT_EQ(base64(plain), each.base64);
    EXPECT_EQ(base64url(plain), unpadded);
    EXPECT_EQ(unhex(each.base16), each.plain);
    EXPECT_EQ(unbase64url(unpadded), each.plain);
  }
}

TEST(Encodings, AlphabetsOfTheLastTwoCharacters) {
  const std::string bytes = "\xfb\xff\xbf";
  EXPECT_EQ(base64(as_bytes(bytes)), "+/+/");
  EXPECT_EQ(base64url(as_bytes(bytes)), "-_-_");
  EXPECT_EQ(unbase64url("-_-_"), bytes);
  EXPECT_FALSE(unbase64url("+/+/"));
}

TEST(Encodings, EveryByteAtEveryAlignmentComesBack) {
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t before = 0; before < 3; ++before) {
      const std::string data = std::string(before, '\x5a') + static_cast<char>(byte);
      EXPECT_EQ(unhex(hex(as_bytes(data))), data);
      EXPECT_EQ(unbase64url(base64url(as_bytes(data))), data);
    }
  }
}

// RFC 4648 §3.5: exactly one text stands for each value, or a token could be written in several
// ways.
TEST(Encodings, RefusesNonCanonicalBase64url) {
  EXPECT_EQ(unbase64url("Zg"), "f");
  for (const char* text : {"Zh", "Zv", "Z_", "Zm9vYm", "Zm-"})
    EXPECT_FALSE(unbase64url(text)) << text;
  for (const char* text : {"Z", "Zm9vZ", "Zg==", "Zg=", "=", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9v!"}) {
    EXPECT_FALSE(unbase64url(text)) << text;
  }
  // Of the 4096 texts of two characters only those with four zero bits at the end are canonical.
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  int accepted = 0;
  for (const char a : alphabet) {
    for (const char b : alphabet) accepted += unbase64url(std::string{a, b}).has_value();
  }
  EXPECT_EQ(accepted, 256);
}

TEST(Encodings, HexTakesEitherCaseAndWholeBytes) {
  EXPECT_EQ(unhex("DeadBEEF"), "\xde\xad\xbe\xef");
  for (const char* text : {"a", "abc", "0x", "gg", "a ", "a:b", "\xc3\xa4"}) {
    EXPECT_FALSE(unhex(text)) << text;
  }
}

// FIPS 180-4 examples.
TEST(Sha256, Vectors) {
  EXPECT_EQ(hex(sha256(as_bytes(""))),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(ConstantTimeEqual, ComparesBytesAndLength) {
  EXPECT_TRUE(constant_time_equal({}, {}));
  EXPECT_TRUE(constant_time_equal(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("ab")));
  EXPECT_FALSE(constant_time_equal(as_bytes("xbc"), as_bytes("abc")));
}

TEST(Random, IdsHaveTheirFormAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = random_id();
    ASSERT_EQ(id.size(), 16u);
    ASSERT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos) << id;
    ASSERT_TRUE(seen.insert(id).second) << id;
  }
}

// Over 256 draws of 64 bits no bit stays put (chance of a false alarm: 2^-249).
TEST(Random, EveryBitMoves) {
  std::uint64_t ones = 0, zeros = 0;
  for (int i = 0; i < 256; ++i) {
    const std::uint64_t value = random_u64();
    ones |= value;
    zeros |= ~value;
  }
  EXPECT_EQ(ones, ~std::uint64_t{0});
  EXPECT_EQ(zeros, ~std::uint64_t{0});
}

}  // namespace
}  // namespace leat
