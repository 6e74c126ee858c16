#include "base/signature.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <thread>
#include <vector>

#include "base/crypto_util.h"
#include "base/file.h"
#include "support/temp_dir.h"

namespace leat {
namespace {

std::string bytes(std::string_view hexadecimal) { return unhex(hexadecimal).value(); }

PublicKey public_key(std::string_view hexadecimal) {
  const std::string raw = bytes(hexadecimal);
  PublicKey key{};
  EXPECT_EQ(raw.size(), key.size());
  std::copy_n(raw.begin(), key.size(), key.begin());
  return key;
}

// An Ed25519 key as PKCS #8 (RFC 8410 §7): a fixed prefix, then the seed.
std::string pem(std::string_view seed_hex) {
  const std::string der = bytes("302e020100300506032b657004220420") + bytes(seed_hex);
  return "-----BEGIN PRIVATE KEY-----\n" + base64(as_bytes(der)) + "\n-----END PRIVATE KEY-----\n";
}

// RFC 8032 §7.1, tests 1, 2, 3 and SHA(abc).
struct Vector {
  const char *seed, *key, *message, *signature;
};
const Vector kVectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fee"
     "b"
     "bd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e"
     "0"
     "303dca179c138ac17ad9bef1177331a704"},
};

TEST(Ed25519, Rfc8032Vectors) {
  const test::TempDir dir;
  for (const Vector& each : kVectors) {
    const std::string path = dir / "key.pem";
    ASSERT_TRUE(write_file(path, pem(each.seed), 0600, Code::KEY_FILE));
    const auto key = SigningKey::load_or_create(path);
    ASSERT_TRUE(key) << key.error().detail;
    EXPECT_EQ(hex(key->public_key()), each.key);
    const std::string message = bytes(each.message);
    const Signature signature = key->sign(as_bytes(message));
    EXPECT_EQ(hex(signature), each.signature);
    EXPECT_TRUE(verify(public_key(each.key), as_bytes(message), signature));
  }
}

TEST(Ed25519, AnyFlippedBitIsRefused) {
  const Vector& good = kVectors[1];
  const PublicKey key = public_key(good.key);
  const std::string message = bytes(good.message);
  for (std::size_t bit = 0; bit < 64 * 8; ++bit) {
    std::string signature = bytes(good.signature);
    signature[bit / 8] = static_cast<char>(signature[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(verify(key, as_bytes(message), as_bytes(signature))) << bit;
  }
  const std::string signature = bytes(good.signature);
  EXPECT_FALSE(verify(key, as_bytes("s"), as_bytes(signature)));
  EXPECT_FALSE(verify(key, {}, as_bytes(signature)));
  EXPECT_FALSE(verify(public_key(kVectors[0].key), as_bytes(message), as_bytes(signature)));
}

TEST(Ed25519, OtherLengthsAreRefused) {
  const Vector& good = kVectors[1];
  const std::string message = bytes(good.message);
  const std::string signature = bytes(good.signature);
  for (std::size_t size = 0; size < 64; ++size) {
    EXPECT_FALSE(
        verify(public_key(good.key), as_bytes(message), as_bytes(signature.substr(0, size))));
  }
  EXPECT_FALSE(verify(public_key(good.key), as_bytes(message), as_bytes(signature + '\0')));
}

TEST(KeyFile, IsMadeOnceWithMode0600) {
  const test::TempDir dir;
  const std::string path = dir / "identity.pem";
  const auto made = SigningKey::load_or_create(path);
  ASSERT_TRUE(made) << made.error().detail;
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  const auto loaded = SigningKey::load_or_create(path);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(made->public_key(), loaded->public_key());
  const Signature signature = loaded->sign(as_bytes("message"));
  EXPECT_TRUE(verify(made->public_key(), as_bytes("message"), signature));
  EXPECT_NE(SigningKey::generate().public_key(), made->public_key());
}

TEST(KeyFile, RefusesOneThatOthersMayRead) {
  const test::TempDir dir;
  const std::string path = dir / "identity.pem";
  for (const mode_t mode : {0640, 0604, 0644, 0660}) {
    ASSERT_TRUE(write_file(path, pem(kVectors[0].seed), mode, Code::KEY_FILE));
    const auto key = SigningKey::load_or_create(path);
    ASSERT_FALSE(key) << std::oct << mode;
    EXPECT_EQ(key.error().code, Code::KEY_FILE);
    EXPECT_NE(key.error().detail.find(path), std::string::npos);
  }
}

TEST(KeyFile, RefusesWhatIsNoEd25519Key) {
  constexpr char kP256[] =
      "-----BEGIN PRIVATE KEY-----\n"
      "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0QAvYgsUE3tvnbrN\n"
      "Afv/QAtwybYOxyOalBSqh5JKfZWhRANCAAQ9AZofV7coBi5QcAM4UONH07LDq4dY\n"
      "N9Mnvt9rB/4Iqx9NBf/AkJKJPFVyNgkirvxkihkvMlDVM1YiVFQbVcQE\n"
      "-----END PRIVATE KEY-----\n";
  // With the passphrase "x", which nobody is asked for.
  constexpr char kEncrypted[] =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
      "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAju5YuXPyAqiQICCAAw\n"
      "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAQZ0/9MOWM+1OiLnZSDHDoEQLTb\n"
      "mSUzSkhekY4aPcOkWmnP4rcB94Tv5p+gFPE9/Hneb9XDowlqEIq8mCd9a5a2Xfv8\n"
      "Gf2JszcMCvoqB60HZio=\n"
      "-----END ENCRYPTED PRIVATE KEY-----\n";
  const test::TempDir dir;
  const std::string path = dir / "identity.pem";
  for (const std::string& text : {std::string(), std::string("not a key"), std::string(kP256),
                                  std::string(kEncrypted), pem(kVectors[0].seed).substr(0, 60)}) {
    ASSERT_TRUE(write_file(path, text, 0600, Code::KEY_FILE));
    const auto key = SigningKey::load_or_create(path);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Code::KEY_FILE);
    EXPECT_EQ(read_file(path, Code::KEY_FILE).value(), text) << "a file is never overwritten";
  }
  EXPECT_FALSE(SigningKey::load_or_create(dir / "none/identity.pem"));
  EXPECT_FALSE(SigningKey::load_or_create(dir.path()));
}

// Two agents started at once on one state directory end with the same identity.
TEST(KeyFile, TheFirstOfSeveralMakersWins) {
  const test::TempDir dir;
  const std::string path = dir / "identity.pem";
  std::vector<std::optional<PublicKey>> keys(4);
  std::vector<std::thread> threads;
  for (auto& key : keys) {
    threads.emplace_back([&key, &path] {
      const auto made = SigningKey::load_or_create(path);
      if (made) key = made->public_key();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& key : keys) {
    ASSERT_TRUE(key.has_value());
    EXPECT_EQ(*key, *keys.front());
  }
}

}  // namespace
}  // namespace leat
